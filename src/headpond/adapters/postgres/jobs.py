"""The job store in a PostgreSQL database."""

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from headpond.adapters.postgres import records
from headpond.adapters.postgres.bells import Bell
from headpond.adapters.postgres.changes import Changes
from headpond.adapters.postgres.connection import Connection
from headpond.adapters.postgres.database import Database
from headpond.domain.job import Job, JobId
from headpond.domain.stored import job_of, readable
from headpond.ports.clock import Clock
from headpond.ports.jobs import Added, Bodies, Existing, JobQuery, JobStore, NewJob, Try


class PostgresJobStore(JobStore):
    """Processes everywhere share it; a change is told to waiters in all of them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._changes = Changes(database, Bell.JOBS, "versions_of")

    @override
    async def add(self, new: NewJob) -> Added | Existing:
        return await self._database.join(self._add, new)

    async def _add(
        self, connection: Connection, news: Sequence[NewJob]
    ) -> list[Added | Existing | BaseException]:
        return await records.add(connection, news, self._clock.now(), queued=False)

    @override
    async def known(self, team: str, key: str) -> Existing | None:
        rows = await self._database.read("get_key", team, key, self._clock.now())
        return Existing(job_of(rows[0][1]), rows[0][0]) if rows else None

    @override
    async def retried(self, again: Try) -> Existing | None:
        now = self._clock.now()
        return await self._database.transaction(
            lambda connection: records.retried(connection, again, now)
        )

    @override
    async def get(self, job_id: JobId) -> Job | None:
        rows = await self._database.read("get_job", job_id)
        return job_of(rows[0][0]) if rows else None

    @override
    async def bodies(self, job_id: JobId) -> Bodies | None:
        rows = await self._database.read("get_bodies", job_id)
        return Bodies(*rows[0]) if rows else None

    @override
    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        return await swap(self._database, after, response)

    @override
    async def erase(self, after: Job) -> bool:
        erased = await self._database.transaction(
            lambda connection: records.erase(connection, after)
        )
        self._database.bells.ring(Bell.JOBS, [after.id] if erased else [])
        return erased

    @override
    async def find(self, query: JobQuery) -> list[Job]:
        state = None if query.state is None else query.state.value
        if query.team is None:
            return await self._jobs("find_jobs", state, query.after, query.limit)
        return await self._jobs("find_jobs_of_team", query.team, state, query.after, query.limit)

    @override
    async def due(self, *, now: float, accepted_before: float, limit: int) -> list[Job]:
        overdue = await self._jobs("overdue_jobs", now, limit)
        unqueued = await self._jobs("unqueued_jobs", accepted_before, limit)
        seen = {job.id for job in overdue}
        return (overdue + [job for job in unqueued if job.id not in seen])[:limit]

    @override
    async def wait_for_change(self, job_id: JobId, version: int, timeout_s: float) -> Job | None:
        until = asyncio.get_running_loop().time() + timeout_s
        with self._changes.hearing(job_id, version) as heard:
            while True:
                heard.clear()
                job = await self.get(job_id)
                if job is not None and job.version > version:
                    return job
                try:
                    async with asyncio.timeout_at(until):
                        await heard.wait()
                except TimeoutError:
                    return None

    @override
    async def forget_keys(self, now: float, *, limit: int) -> int:
        return await self._database.transaction(
            lambda connection: records.forget_keys(connection, now, limit)
        )

    async def _jobs(self, statement: str, *args: object) -> list[Job]:
        rows = await self._database.read(statement, *args)
        found = (readable(record) for (record,) in rows)
        return [job for job in found if job is not None]


async def swap(database: Database, after: Job, response: bytes | None = None) -> bool:
    """Replace the record iff its version is one below; with the notice of its end, if it ends."""
    if after.state.terminal:
        swapped = await database.transaction(
            lambda connection: records.swap_and_tell(connection, after, response)
        )
    else:
        swapped = await database.on_connection(
            lambda connection: records.swap(connection, after, response)
        )
    database.bells.ring(Bell.JOBS, [after.id] if swapped else [])
    return swapped
