"""Blobs in an object store: any number of gateways share them.

A blob goes up in parts while it is written and is there when the last one is put together; where
the writer fails, the upload is given up. What a process that died left of an upload is no object:
a rule of the bucket removes it (docs/backends.md).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import obstore
from typing_extensions import override

from headpond.adapters.obstore.opening import FAILURES, away, is_missing
from headpond.domain.file import BlobName, is_blob_name
from headpond.errors import NotFound
from headpond.ports.blobs import Blobs, BlobWriter

PIECE = 262_144
AHEAD = 8
"""Pieces that a writer may be ahead of the network."""

_obstore: Any = obstore


class _GivenUpError(Exception):
    """The writer failed: what went up so far is to be thrown away."""


class ObjectBlobs(Blobs):
    """Blobs are the objects of a store that have their names."""

    def __init__(self, store: Any) -> None:
        self._store = store

    @override
    @asynccontextmanager
    async def create(self, name: BlobName) -> AsyncGenerator[BlobWriter]:
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
        failed = asyncio.Event()
        upload = asyncio.ensure_future(self._upload(name, _taken(pieces, failed)))
        writer = _Writer(upload, pieces)
        try:
            yield writer
            await writer.end()
        except BaseException:
            failed.set()
            # Whatever it is busy with: it finds out at its next piece.
            with contextlib.suppress(asyncio.QueueFull):
                pieces.put_nowait(None)
            with contextlib.suppress(Exception):
                await upload
            raise

    @override
    async def read(self, name: BlobName, offset: int = 0) -> AsyncGenerator[bytes]:
        try:
            if offset and (await _obstore.head_async(self._store, name))["size"] <= offset:
                return
            options = {"range": {"offset": offset}} if offset else None
            found = await _obstore.get_async(self._store, name, options=options)
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)
        except FAILURES as error:
            if is_missing(error):
                message = f"The bytes of {name} are gone."
                raise NotFound(message, code="file_not_found") from error
            raise away("files_unavailable", error) from error

    @override
    async def delete(self, name: BlobName) -> None:
        try:
            await _obstore.delete_async(self._store, name)
        except FAILURES as error:
            if is_missing(error):
                return
            raise away("files_unavailable", error) from error

    @override
    async def written_before(self, when: float) -> list[BlobName]:
        try:
            # Large bodies lie one step below, and may be many: they are not looked through.
            here = await _obstore.list_with_delimiter_async(self._store)
            return [
                name
                for found in here["objects"]
                if is_blob_name(name := found["path"]) and found["last_modified"].timestamp() < when
            ]
        except FAILURES as error:
            raise away("files_unavailable", error) from error

    async def _upload(self, name: BlobName, pieces: AsyncIterator[bytes]) -> None:
        first = await anext(pieces, b"")
        try:
            # Of no pieces no upload can be made.
            body = _led(first, pieces) if first else b""
            await _obstore.put_async(self._store, name, body)
        except FAILURES as error:
            raise away("files_unavailable", error) from error


class _Writer(BlobWriter):
    def __init__(self, upload: "asyncio.Future[None]", pieces: asyncio.Queue[bytes | None]) -> None:
        self._upload = upload
        self._pieces = pieces

    @override
    async def write(self, data: bytes) -> None:
        if data:
            await self._put(data)

    async def end(self) -> None:
        """That was all; returns when it is there."""
        await self._put(None)
        await self._upload

    async def _put(self, piece: bytes | None) -> None:
        """Raises what ended the upload, if it has ended before its time."""
        putting = asyncio.ensure_future(self._pieces.put(piece))
        await asyncio.wait({putting, self._upload}, return_when=asyncio.FIRST_COMPLETED)
        if not putting.done():
            putting.cancel()
            await self._upload


async def _taken(
    pieces: asyncio.Queue[bytes | None], failed: asyncio.Event
) -> AsyncIterator[bytes]:
    while (piece := await pieces.get()) is not None:
        if failed.is_set():
            break
        yield piece
    if failed.is_set():
        raise _GivenUpError


async def _led(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
