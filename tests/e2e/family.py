"""A process's children, and waiting for their end."""

import os
import select
import signal
from pathlib import Path


class Relative:
    """A child of another process; held by its descriptor, so that its id cannot be reused."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """SIGKILL."""
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def ended(self, timeout_s: float) -> bool:
        """Wait for its end."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


def children(pid: int) -> list[Relative]:
    """The processes that a process started itself."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [Relative(int(child)) for child in listed.split()]
