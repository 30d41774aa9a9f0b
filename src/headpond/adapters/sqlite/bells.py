"""Tells other processes on a file at once that something was committed.

Each process that opens the file hangs up a bell, a named pipe in a folder beside it, and whoever
commits writes a byte into each. Nothing is lost where that fails, on a file system without pipes
or on a full disk: commits are looked for as well (`Database`), only later.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

SETTLED_NS = 1_000_000_000
"""File systems round the time of a change: a list of bells is good from then on."""

GONE = {errno.ENXIO, errno.ENOENT, errno.ELOOP, errno.EISDIR}
"""Or no pipe at all."""

MOST_AT_ONCE = 65_536
"""What a pipe holds, on Linux."""


class Bells:
    """The bell of this process, and those of the others. `ring` is for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: int | None = None
        self.name = secrets.token_hex(8)
        self._others: dict[str, int] = {}
        self._listed_ns = 0

    def hang_up(self) -> None:
        """Hang up our own, where that works."""
        if sys.platform == "win32":  # pragma: no cover - no named pipes of this kind
            return
        unfinished = f".{self.name}"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            os.mkfifo(self._folder / unfinished, 0o600)
            # For writing too, else it is at its end whenever nobody else has it open. And it gets
            # its name when it can be rung: one that cannot is taken for a dead process's.
            self._own = os.open(self._folder / unfinished, os.O_RDWR | os.O_NONBLOCK)
            (self._folder / unfinished).rename(self._folder / self.name)
        except OSError:
            self._remove(unfinished)
            self.take_down()

    @property
    def hangs(self) -> bool:
        """Whether others can ring it."""
        return self._own is not None and (self._folder / self.name).exists()

    def take_down(self) -> None:
        """After the last `ring`: ours is gone, and the others' are left to them."""
        if self._own is not None:
            os.close(self._own)
            self._own = None
        self._remove(self.name)
        for bell in self._others.values():
            os.close(bell)
        self._others.clear()

    def listen(self, loop: asyncio.AbstractEventLoop, heard: Callable[[], None]) -> None:
        """Call `heard` whenever it rings, at once if it has rung since `mute`."""
        if (own := self._own) is not None:
            loop.add_reader(own, self._drain, own, heard)

    def mute(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let it ring."""
        if self._own is not None:
            loop.remove_reader(self._own)

    def _drain(self, own: int, heard: Callable[[], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(own, MOST_AT_ONCE)
        heard()

    def ring(self) -> None:
        """Ring all but ours."""
        with contextlib.suppress(OSError):  # the folder went, or may not be read
            self._look()
        for name, bell in list(self._others.items()):
            try:
                os.write(bell, b"\0")
            except BlockingIOError:
                pass  # full: it rings already
            except OSError as error:
                os.close(self._others.pop(name))
                if error.errno == errno.EPIPE:
                    self._remove(name)  # its process died

    def _look(self) -> None:
        now_ns = time.time_ns()
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns == self._listed_ns:
            return
        names = {bell.name for bell in self._folder.iterdir() if not bell.name.startswith(".")}
        for name in self._others.keys() - names:
            os.close(self._others.pop(name))
        opened = [self._open(name) for name in names - self._others.keys() - {self.name}]
        settled = all(opened) and abs(now_ns - changed_ns) > SETTLED_NS
        self._listed_ns = changed_ns if settled else 0

    def _open(self, name: str) -> bool:
        """False if it is worth another try."""
        try:
            bell = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody has it open to read: its process died
                self._remove(name)
            return error.errno in GONE
        if stat.S_ISFIFO(os.fstat(bell).st_mode):
            self._others[name] = bell
        else:
            os.close(bell)
        return True

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)
