"""Token streams in a PostgreSQL database, fenced by the records beside them.

Entries are durable before they count: the worker that numbers them outlives a crash of the server,
and would go on behind a gap.
"""

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from headpond.adapters.postgres.bells import Bell
from headpond.adapters.postgres.changes import Changes
from headpond.adapters.postgres.connection import Connection, run
from headpond.adapters.postgres.database import Database
from headpond.domain.job import JobId
from headpond.ports.streams import Entry, TokenStreams

FORGET_AT_ONCE = 2_000
"""Streams of one look."""


class PostgresTokenStreams(TokenStreams):
    """Processes everywhere share them; what many streams say at once is one commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = Changes(database, Bell.STREAMS, "ends_of_streams")

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        rows = await self._database.write("begin_stream", job_id, run)
        self._database.bells.ring(Bell.STREAMS, [job_id])
        return rows[0][0] if rows else None

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        return await self._database.join(self._append, (job_id, entry))

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        until = asyncio.get_running_loop().time() + wait_s
        with self._changes.hearing(job_id, after) as heard:
            while True:
                heard.clear()
                rows = await self._database.read("read_stream", job_id, after, limit)
                if rows:
                    return [Entry(seq, run, choices) for seq, run, choices in rows]
                try:
                    async with asyncio.timeout_at(until):
                        await heard.wait()
                except TimeoutError:
                    return []

    @override
    async def forget(self, ended_before: float) -> int:
        ((forgotten,),) = await self._database.write(
            "forget_streams", ended_before, FORGET_AT_ONCE, synced=False
        )
        return forgotten

    async def _append(
        self, connection: Connection, items: Sequence[tuple[JobId, Entry]]
    ) -> list[bool]:
        rows = await run(
            connection,
            "append_entries",
            [job_id for job_id, _ in items],
            [entry.run for _, entry in items],
            [entry.seq for _, entry in items],
            [entry.choices for _, entry in items],
        )
        standing = {place for (place,) in rows}
        self._database.bells.ring(Bell.STREAMS, [job_id for job_id, _ in items])
        return [place in standing for place in range(1, len(items) + 1)]
