"""A process's children, and waiting for their end."""

import asyncio
import os
import signal
from pathlib import Path


class Relative:
    """A child of another process; held by its descriptor, so that its id cannot be reused."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """SIGKILL."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """A signal. Raises ProcessLookupError if the process has ended."""
        signal.pidfd_send_signal(self._descriptor, number)

    async def ended(self) -> None:
        """Wait for its end."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._descriptor, ended.set)
        await ended.wait()
        loop.remove_reader(self._descriptor)


def children(pid: int) -> list[Relative]:
    """The processes that a process started itself."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [Relative(int(child)) for child in listed.split()]
