"""Blobs as files in a folder of this machine.

A blob is written under a name of its own, synced, and then renamed: what bears the name of a blob
is one, whole. What a process that died left behind keeps its own name until it is removed.
"""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from headpond.domain.file import BlobName, is_blob_name
from headpond.errors import NotFound, Unavailable
from headpond.ports.blobs import Blobs, BlobWriter

T = TypeVar("T")

PIECE = 262_144
UNFINISHED = ".part"


class LocalBlobs(Blobs):
    """The folder is made when the first blob is. `inline` uses no threads, for virtual time."""

    def __init__(self, folder: Path, *, inline: bool = False) -> None:
        self._folder = folder
        self._inline = inline

    @override
    @asynccontextmanager
    async def create(self, name: BlobName) -> AsyncGenerator[BlobWriter]:
        unfinished = self._folder / (name + UNFINISHED)
        descriptor = await self._off(lambda: _open_new(unfinished))
        try:
            try:
                yield _Writer(self, descriptor)
                await self._off(lambda: _sync(descriptor))
            finally:
                os.close(descriptor)
            await self._off(lambda: _publish(unfinished, self._folder / name))
        except BaseException:
            # Not off the loop: whoever is cancelled here does not wait again.
            unfinished.unlink(missing_ok=True)
            raise

    @override
    async def read(self, name: BlobName, offset: int = 0) -> AsyncGenerator[bytes]:
        descriptor = await self._off(lambda: _open_to_read(self._folder / name, offset))
        try:
            while piece := await self._off(lambda: os.read(descriptor, PIECE)):
                yield piece
        finally:
            os.close(descriptor)

    @override
    async def delete(self, name: BlobName) -> None:
        def delete() -> None:
            for path in (self._folder / name, self._folder / (name + UNFINISHED)):
                path.unlink(missing_ok=True)

        await self._off(delete)

    @override
    async def written_before(self, when: float) -> list[BlobName]:
        def look() -> list[BlobName]:
            return [
                name
                for entry in os.scandir(self._folder)
                if is_blob_name(name := entry.name.removesuffix(UNFINISHED))
                and entry.stat().st_mtime < when
            ]

        try:
            return await self._off(look)
        except FileNotFoundError:  # the folder, or one that went while we looked: next time
            return []

    async def write(self, descriptor: int, data: bytes) -> None:
        """Add to a file that is open. Raises Unavailable."""
        await self._off(lambda: _write_all(descriptor, data))

    async def _off(self, operation: Callable[[], T]) -> T:
        """Run it off the event loop; disks are slow.

        Whoever is cancelled meanwhile waits for the thread all the same: it works on a descriptor
        whose number would soon be another file's.
        """
        if self._inline:
            return operation()
        running = asyncio.ensure_future(asyncio.to_thread(operation))
        try:
            return await asyncio.shield(running)
        finally:
            while not running.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([running])


class _Writer(BlobWriter):
    def __init__(self, blobs: LocalBlobs, descriptor: int) -> None:
        self._blobs = blobs
        self._descriptor = descriptor

    @override
    async def write(self, data: bytes) -> None:
        await self._blobs.write(self._descriptor, data)


def _open_new(path: Path) -> int:
    """For its owner's eyes alone: there are prompts in it."""
    with _translated():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)


def _open_to_read(path: Path, offset: int) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise NotFound(f"The bytes of {path.name} are gone.", code="file_not_found") from error
    os.lseek(descriptor, offset, os.SEEK_SET)
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    with _translated():
        while left:
            left = left[os.write(descriptor, left) :]


def _sync(descriptor: int) -> None:
    with _translated():
        os.fsync(descriptor)


def _publish(unfinished: Path, path: Path) -> None:
    """Rename, and sync the folder: only then is the name on the disk."""
    with _translated():
        unfinished.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        code = "storage_full" if full else "storage_unavailable"
        message = "The file cannot be stored."
        raise Unavailable(
            message, why=error.strerror or "", code=code, retry_after_s=60.0
        ) from error
