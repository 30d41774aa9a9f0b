"""Token streams in a SQLite file, fenced by the records beside them.

Nothing here is synced by itself: after a power cut the run is gone too.
"""

import asyncio
import json
import sqlite3

from typing_extensions import override

from headpond.adapters.sqlite.changes import Changes
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.job import JobId
from headpond.ports.streams import Entry, TokenStreams

FORGET_AT_ONCE = 2_000
"""Streams of one look: it takes a few milliseconds, and the writer is everybody's."""


class SqliteTokenStreams(TokenStreams):
    """Processes on one machine share them; an entry wakes readers in all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = Changes(database, "ends_of_streams")

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        def begin(connection: sqlite3.Connection) -> int | None:
            job = _job_in_run(connection, job_id, run)
            if job is None:
                return None
            last = connection.execute(sql("last_stream_entry"), (job,)).fetchone()
            if last is None:
                return 0
            seq, restart = last
            if restart:
                return seq
            connection.execute(sql("append_stream_entry"), (job, seq + 1, run, None))
            return seq + 1

        return await self._database.write(begin, synced=False)

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        def append(connection: sqlite3.Connection) -> bool:
            job = _job_in_run(connection, job_id, entry.run)
            if job is None:
                return False
            row = (job, entry.seq, entry.run, entry.choices)
            connection.execute(sql("append_stream_entry"), row)
            return True

        return await self._database.write(append, synced=False)

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        more = self._changes.listen(job_id, after)
        try:
            entries = await self._read(job_id, after, limit)
            if entries:
                return entries
            async with asyncio.timeout(wait_s):
                await more
        except TimeoutError:
            return []
        finally:
            more.cancel()
        return await self._read(job_id, after, limit)

    @override
    async def forget(self, ended_before: float) -> int:
        parameters = {"ended_before": ended_before, "limit": FORGET_AT_ONCE}
        found = await self._database.read(
            lambda connection: connection.execute(sql("ended_streams"), parameters).fetchall()
        )
        if not found:
            return 0
        jobs = json.dumps([job for (job,) in found])
        await self._database.write(
            lambda connection: connection.execute(sql("forget_streams"), (jobs,)), synced=False
        )
        return len(found)

    async def _read(self, job_id: JobId, after: int, limit: int) -> list[Entry]:
        parameters = {"job_id": job_id, "after": after, "limit": limit}
        rows = await self._database.read(
            lambda connection: connection.execute(sql("read_stream"), parameters).fetchall()
        )
        return [Entry(seq, run, choices) for seq, run, choices in rows]


def _job_in_run(connection: sqlite3.Connection, job_id: JobId, run: int) -> int | None:
    """The number of the job's row while the claim stands."""
    row = connection.execute(sql("job_at_version"), (job_id, run)).fetchone()
    return None if row is None else row[0]
