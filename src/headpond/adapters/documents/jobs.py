"""The job store in a table of documents (`adapters/documents/table.py` says how it lies there)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from weakref import WeakValueDictionary

from typing_extensions import override

from headpond.adapters.documents import dispatches, idempotency, records
from headpond.adapters.documents.agenda import agenda, items_at, jobs_at, jobs_behind, merged, up_to
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.changes import Changes
from headpond.adapters.documents.table import (
    LEFT_S,
    SHARDS,
    Key,
    Put,
    Table,
    Write,
    just_after,
)
from headpond.domain.job import Job, JobId, JobState
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.jobs import (
    Added,
    Bodies,
    Existing,
    Idempotency,
    JobQuery,
    JobStore,
    NewJob,
    Try,
)

PAGE = 100


class DocumentJobStore(JobStore):
    """Any number of processes share it; a change made elsewhere is seen within moments."""

    def __init__(self, table: Table, clock: Clock, bodies: DocumentBodies) -> None:
        self._table = table
        self._clock = clock
        self._bodies = bodies
        self._changes = Changes(self._versions)
        self._trying: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        """Wait for no more changes."""
        await self._changes.close()

    @override
    async def add(self, new: NewJob) -> Added | Existing:
        match new.idempotency:
            case Idempotency(key):
                return await self._add_under_key(new, new.idempotency, key)
            case Try(fingerprint):
                # Those of one process are taken in turn: a later try is to find the earlier one.
                async with self._trying.setdefault(fingerprint, asyncio.Lock()):
                    earlier = await self._earlier(new.idempotency)
                    return earlier or await self._add_try(new, new.idempotency)
            case None:
                failed = await self._add(new)
                return await self._standing(new) if failed else Added(new.job)

    @override
    async def known(self, team: str, key: str) -> Existing | None:
        known = await idempotency.known(self._table, team, key)
        return known.existing if known is not None and known.holds(self._clock.now()) else None

    @override
    async def retried(self, again: Try) -> Existing | None:
        return await idempotency.retried(self._table, again, self._clock.now())

    @override
    async def get(self, job_id: JobId) -> Job | None:
        item = await self._table.get(records.key_of(job_id))
        return None if item is None else records.job_of(item)

    @override
    async def bodies(self, job_id: JobId) -> Bodies | None:
        return await self._bodies.read(job_id)

    @override
    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        notices = await dispatches.job_notices(self._table, after) if after.state.terminal else ()
        record = records.changed(after)
        if response is None:
            failed = await self._table.write(record, *notices)
        else:
            kept = await self._bodies.stored(after.id, "response", response)
            failed = await self._write_with(kept, record, *kept, *notices)
        if failed:
            return False
        self._changes.happened(after.id, after.version)
        return True

    @override
    async def erase(self, after: Job) -> bool:
        removed = await self._bodies.erasing(after.id)
        return not await self._table.write(records.changed(after), *removed)

    @override
    async def find(self, query: JobQuery) -> list[Job]:
        found: list[Job] = []
        async for job in self._newest_first(query):
            if query.state is None or job.state == query.state:
                found.append(job)
            if len(found) == query.limit:
                break
        return found

    @override
    async def due(self, *, now: float, accepted_before: float, limit: int) -> list[Job]:
        waiting = await self._jobs_until("deadline", now, limit)
        accepted = await self._jobs_until("accepted", now, None)
        # One that has just moved may be in both.
        found = {job.id: job for job in [*waiting, *accepted]}.values()
        overdue = sorted(
            (job for job in found if job.overdue(now)), key=lambda job: job.deadline or now
        )
        unqueued = [
            job
            for job in accepted
            if job.state is JobState.ACCEPTED
            and job.accepted_at < accepted_before
            and not job.overdue(now)
        ]
        return [*overdue, *unqueued][:limit]

    @override
    async def wait_for_change(self, job_id: JobId, version: int, timeout_s: float) -> Job | None:
        job = await self.get(job_id)
        if job is not None and job.version > version:
            return job
        if timeout_s <= 0 or not await self._changes.wait(job_id, version, timeout_s):
            return None
        return await self.get(job_id)

    @override
    async def forget_keys(self, now: float, *, limit: int) -> int:
        keys = await self._until("key", now, limit)
        tries = await self._until("try", now - LEFT_S, limit)
        await self._table.delete_many(tries)
        return await idempotency.forget_keys(self._table, keys, now) + len(tries)

    async def _add(self, new: NewJob, *beside: Write) -> frozenset[int]:
        """Add the record with what belongs to it; 0 is the record, then come those beside it."""
        ended = new.job.state.terminal
        notices = await dispatches.job_notices(self._table, new.job) if ended else ()
        kept = await self._bodies.stored(new.job.id, "request", new.request)
        record = records.new_record(new.job)
        return await self._write_with(kept, record, *beside, *kept, *notices)

    async def _write_with(self, kept: Sequence[Write], *writes: Write) -> frozenset[int]:
        """As the table writes. Raises Unavailable if what was kept before is not there any more."""
        failed = await self._table.write(*writes)
        if not failed:
            return failed
        await self._bodies.withdraw(kept)
        if all(writes[number] in kept for number in failed):
            message = "A body took so long to be recorded that it was removed; try again."
            raise Unavailable(message, code="body_removed")
        return failed

    async def _add_under_key(self, new: NewJob, promise: Idempotency, key: str) -> Added | Existing:
        stale: idempotency.Known | None = None
        item = idempotency.key_item(new.job.team, promise, new.job.id)
        while True:
            failed = await self._add(new, idempotency.key_write(item, stale))
            if not failed:
                return Added(new.job)
            stale = await idempotency.known(self._table, new.job.team, key)
            if stale is not None and stale.holds(self._clock.now()):
                return stale.existing
            if 0 in failed:
                return await self._standing(new)

    async def _add_try(self, new: NewJob, made: Try) -> Added | Existing:
        item = idempotency.try_item(made, new.job.id)
        return await self._standing(new) if await self._add(new, Put(item)) else Added(new.job)

    async def _earlier(self, made: Try) -> Existing | None:
        return await self.retried(made) if made.number else None

    async def _standing(self, new: NewJob) -> Existing:
        job = await self.get(new.job.id)
        return Existing(job or new.job, "")

    async def _newest_first(self, query: JobQuery) -> AsyncIterator[Job]:
        if query.team is None:
            everything = map(records.readable, await self._table.everything("job"))
            found = [job for job in everything if job is not None]
            for job in sorted(found, key=lambda job: job.id, reverse=True):
                if query.after is None or job.id < query.after:
                    yield job
            return
        lists = [
            self._table.look(
                "family",
                records.family_of(query.team, shard),
                before=query.after or "",
                reverse=True,
            )
            for shard in range(SHARDS)
        ]
        newest = merged(lists, reverse=True)
        async for job in jobs_behind(self._table, newest, min(PAGE, query.limit)):
            yield job

    async def _until(self, kind: str, now: float, limit: int | None) -> list[Key]:
        """What the agenda has of a kind up to now, the longest over first."""
        return await up_to(agenda(self._table, kind, before=just_after(now)), limit)

    async def _jobs_until(self, kind: str, now: float, limit: int | None) -> list[Job]:
        return await jobs_at(self._table, await self._until(kind, now, limit))

    async def _versions(self, job_ids: Sequence[JobId]) -> dict[JobId, int]:
        items = await items_at(self._table, [records.key_of(job_id) for job_id in job_ids])
        return {JobId(str(item["pk"]).removeprefix("job#")): int(item["version"]) for item in items}
