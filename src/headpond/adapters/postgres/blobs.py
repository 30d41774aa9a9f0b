"""Blobs in a PostgreSQL database, in pieces, so that machines share them.

A piece is a row of its own: nothing of a file's length is ever in memory, and no transaction or
connection is held while a client sends or takes its bytes. What a blob is, whole, not whole yet or
gone, stands in a row beside them.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override

from headpond.adapters.postgres.database import Database
from headpond.domain.file import BlobName
from headpond.errors import NotFound, Unavailable
from headpond.ports.blobs import Blobs, BlobWriter
from headpond.ports.clock import Clock

PIECE = 262_144

GONE_S = 86_400.0
"""How long the pieces of a deleted blob stay, for whoever is reading them."""


class PostgresBlobs(Blobs):
    """The times are those of `clock`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @override
    @asynccontextmanager
    async def create(self, name: BlobName) -> AsyncGenerator[BlobWriter]:
        ((blob,),) = await self._database.write("begin_blob", name, self._clock.now())
        writer = _Writer(self._database, self._clock, blob)
        try:
            yield writer
            await writer.finish()
        except BaseException:
            # If this is not heard, the blob is swept one day as what a dead process left.
            await self.delete(name)
            raise

    @override
    async def read(self, name: BlobName, offset: int = 0) -> AsyncGenerator[bytes]:
        found = await self._database.read("find_blob", name)
        if not found:
            raise NotFound(f"The bytes of {name} are gone.", code="file_not_found")
        while rows := await self._database.read("read_piece", found[0][0], offset):
            piece = bytes(rows[0][0])
            if not piece:
                return
            yield piece
            offset += len(piece)

    @override
    async def delete(self, name: BlobName) -> None:
        now = self._clock.now()
        await self._database.write("delete_blob", name, now)
        await self._database.write("purge_blobs", now - GONE_S, synced=False)

    @override
    async def written_before(self, when: float) -> list[BlobName]:
        await self._database.write("purge_blobs", self._clock.now() - GONE_S, synced=False)
        rows = await self._database.read("blobs_written_before", when)
        return [BlobName(name) for (name,) in rows]


class _Writer(BlobWriter):
    """Gathers what comes into pieces of one size."""

    def __init__(self, database: Database, clock: Clock, blob: int) -> None:
        self._database = database
        self._clock = clock
        self._blob = blob
        self._gathered = bytearray()
        self._first_byte = 0

    @override
    async def write(self, data: bytes) -> None:
        self._gathered += data
        while len(self._gathered) >= PIECE:
            await self._add(bytes(self._gathered[:PIECE]))
            del self._gathered[:PIECE]

    async def finish(self) -> None:
        """The blob is there, whole and durable."""
        if self._gathered:
            await self._add(bytes(self._gathered))
        finished = await self._database.write("finish_blob", self._blob, self._clock.now())
        if not finished:
            raise _swept()

    async def _add(self, piece: bytes) -> None:
        # Not synced by itself: the blob is, when it is finished.
        added = await self._database.write(
            "add_piece", self._blob, self._first_byte, piece, self._clock.now(), synced=False
        )
        if not added:
            raise _swept()
        self._first_byte += len(piece)


def _swept() -> Unavailable:
    return Unavailable("The file was written too slowly and is gone.", code="storage_unavailable")
