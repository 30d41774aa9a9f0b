"""A disk that is full for a while."""

import contextlib
import os
import time
from pathlib import Path

CHUNK = bytes(1 << 16)


def fill(folder: Path, seconds: float) -> None:
    """Take every free byte of the folder's file system, and give it back after `seconds`.

    The folder must be a mount of its own: nobody else's disk is filled. Raises ValueError.
    """
    if not os.path.ismount(folder):
        raise ValueError(f"{folder} is not a mount of its own; it will not be filled")
    filler = folder / "filler"
    try:
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                # Again and again: what the others give up in the meantime is taken too.
                _write_all(descriptor)
                time.sleep(0.05)
        finally:
            os.close(descriptor)
    finally:
        filler.unlink(missing_ok=True)


def _write_all(descriptor: int) -> None:
    for chunk in (CHUNK, CHUNK[:1]):
        with contextlib.suppress(OSError):
            while os.write(descriptor, chunk):
                pass
