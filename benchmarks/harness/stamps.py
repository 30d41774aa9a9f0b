"""When each job began, in a memory-mapped file that producer and worker share.

A stamp costs well under a microsecond and no system call, so it weighs nothing beside a job.
`time.monotonic` is one clock for all processes of a machine.
"""

import mmap
import struct
import time
from pathlib import Path

STAMP = struct.Struct("d")


class Stamps:
    """One start time in seconds for each job number, zero where the job has not begun."""

    def __init__(self, path: Path) -> None:
        """Open the stamps at `path`, which `create` made."""
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    @staticmethod
    def create(path: Path, count: int) -> None:
        """Make a file of `count` empty stamps."""
        path.write_bytes(bytes(STAMP.size * count))

    def mark(self, number: int) -> None:
        """Note that the job begins now; a job delivered again keeps its first start."""
        offset = STAMP.size * number
        if STAMP.unpack_from(self._memory, offset) == (0.0,):
            STAMP.pack_into(self._memory, offset, time.monotonic())

    def read(self, first: int, end: int) -> list[float]:
        """Return the start times of the jobs from `first` up to, not including, `end`."""
        block = self._memory[STAMP.size * first : STAMP.size * end]
        return [value for (value,) in STAMP.iter_unpack(block)]
