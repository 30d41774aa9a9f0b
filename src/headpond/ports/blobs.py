"""Bytes of any length under a name, written once and as a stream."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from headpond.domain.file import BlobName


class BlobWriter(Protocol):
    """Takes the bytes in order."""

    async def write(self, data: bytes) -> None:
        """Add to what was written. Raises Unavailable, as where the disk is full."""
        ...


class Blobs(Protocol):
    """Names are made up by whoever writes and used once, in the form that `is_blob_name` knows."""

    def create(self, name: BlobName) -> AbstractAsyncContextManager[BlobWriter]:
        """Write a blob: it is there, whole and durable, once the context is left.

        Where it is left with an error, or the process dies in it, there is no such blob.
        """
        ...

    def read(self, name: BlobName, offset: int = 0) -> AsyncGenerator[bytes]:
        """The bytes from `offset` on, in pieces. Raises NotFound at the first if it is not there.

        Whoever has begun to read reads on to the end, also when it is deleted in the meantime.
        """
        ...

    async def delete(self, name: BlobName) -> None:
        """Remove a blob, or what an interrupted writer left of it; nothing if it is not there."""
        ...

    async def written_before(self, when: float) -> list[BlobName]:
        """Names of blobs, and of what interrupted writers left, last written before then.

        What else lies in the same place is not ours, and is never named here.
        """
        ...
