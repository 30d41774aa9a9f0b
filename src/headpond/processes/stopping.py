"""How a process learns that it should end.

By SIGTERM or SIGINT; a second one means at once. A process under the supervisor also ends when its
standard input does: that is a pipe whose other end only the supervisor holds, so it closes
whichever way the supervisor goes, SIGKILL included.
"""

import asyncio
import os
import signal


class Stopping:
    """`asked` once the process should finish what it has, `urged` once it should not even that."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.urged = asyncio.Event()

    def listen(self, *, supervised: bool = False) -> None:
        """Begin to listen, on the running loop, for the life of the process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.ask)
        if supervised:
            loop.add_reader(0, self._read)

    def ask(self) -> None:
        """Ask once to stop, again to hurry."""
        if self.asked.is_set():
            self.urged.set()
        self.asked.set()

    def _read(self) -> None:
        if not os.read(0, 1024):
            asyncio.get_running_loop().remove_reader(0)
            self.asked.set()
