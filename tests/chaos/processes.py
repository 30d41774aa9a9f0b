"""The product's parts as processes that can be killed and come back."""

import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Part:
    """One process and how to start it.

    `kills` and `freezes` count what was done to it, `exits` how often it ended by itself.
    """

    name: str
    arguments: list[str]
    log: Path
    kills: int = 0
    freezes: int = 0
    exits: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Start the process, or start it again."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", *self.arguments], stdout=log, stderr=log
            )

    def revive(self) -> None:
        """Start the process again if it ended by itself, as whoever runs it would."""
        if self._process is not None and self._process.poll() is not None:
            self.exits += 1
            self.start()

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.kills += 1

    def freeze(self, seconds: float) -> None:
        """SIGSTOP for a while: it comes back believing that no time has passed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self._process.send_signal(signal.SIGCONT)
            self.freezes += 1

    def end(self) -> int | None:
        """SIGTERM and wait; the exit status, or None if it never ran."""
        if self._process is None:
            return None
        self._process.terminate()
        return self._process.wait(60)
