"""The job store in a SQLite file."""

import asyncio
import sqlite3
from collections.abc import Mapping

from typing_extensions import override

from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.changes import Changes
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.job import Job, JobId, JobState
from headpond.domain.stored import readable
from headpond.ports.clock import Clock
from headpond.ports.jobs import Added, Bodies, Existing, JobQuery, JobStore, NewJob, Try


class SqliteJobStore(JobStore):
    """Processes on one machine share it; a change wakes waiters in all of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._changes = Changes(database, "versions_of")

    @override
    async def add(self, new: NewJob) -> Added | Existing:
        now = self._clock.now()
        return await self._database.write(lambda connection: records.add(connection, [new], now)[0])

    @override
    async def known(self, team: str, key: str) -> Existing | None:
        now = self._clock.now()
        return await self._database.read(
            lambda connection: records.known(connection, team, key, now)
        )

    @override
    async def retried(self, again: Try) -> Existing | None:
        now = self._clock.now()
        return await self._database.write(
            lambda connection: records.retried(connection, again, now)
        )

    @override
    async def get(self, job_id: JobId) -> Job | None:
        return await self._database.read(lambda connection: records.get(connection, job_id))

    @override
    async def bodies(self, job_id: JobId) -> Bodies | None:
        row = await self._database.read(
            lambda connection: connection.execute(sql("get_bodies"), (job_id,)).fetchone()
        )
        return None if row is None else Bodies(row[0], row[1])

    @override
    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        return await self._database.write(
            lambda connection: records.swap(connection, after, response)
        )

    @override
    async def erase(self, after: Job) -> bool:
        return await self._database.write(lambda connection: records.erase(connection, after))

    @override
    async def find(self, query: JobQuery) -> list[Job]:
        statement = sql(_statement(query))
        parameters = {
            "team": query.team,
            "state": None if query.state is None else query.state.value,
            "after": query.after,
            "limit": query.limit,
        }
        return await self._database.read(
            lambda connection: _jobs(connection, statement, parameters)
        )

    @override
    async def due(self, *, now: float, accepted_before: float, limit: int) -> list[Job]:
        parameters = {"now": now, "accepted_before": accepted_before, "limit": limit}

        def look(connection: sqlite3.Connection) -> list[Job]:
            overdue = _jobs(connection, sql("overdue_jobs"), parameters)
            seen = {job.id for job in overdue}
            unqueued = _jobs(connection, sql("unqueued_jobs"), parameters)
            return (overdue + [job for job in unqueued if job.id not in seen])[:limit]

        return await self._database.read(look)

    @override
    async def wait_for_change(self, job_id: JobId, version: int, timeout_s: float) -> Job | None:
        changed = self._changes.listen(job_id, version)
        try:
            job = await self.get(job_id)
            if job is not None and job.version > version:
                return job
            async with asyncio.timeout(timeout_s):
                await changed
        except TimeoutError:
            return None
        finally:
            changed.cancel()
        return await self.get(job_id)

    @override
    async def forget_keys(self, now: float, *, limit: int) -> int:
        return await self._database.write(
            lambda connection: records.forget_keys(connection, now, limit)
        )


def _jobs(
    connection: sqlite3.Connection, statement: str, parameters: Mapping[str, object]
) -> list[Job]:
    rows = connection.execute(statement, parameters)
    found = (readable(record) for (record,) in rows)
    return [job for job in found if job is not None]


def _statement(query: JobQuery) -> str:
    if query.team is None:
        return "find_jobs"
    if query.state in (None, JobState.SUCCEEDED):
        return "find_jobs_of_team"
    return "find_jobs_in_state"
