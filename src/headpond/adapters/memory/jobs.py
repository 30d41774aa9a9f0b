"""Records in this process's memory: the model that other job stores are compared with."""

import asyncio

from msgspec.structs import replace
from typing_extensions import override

from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.ports.clock import Clock
from headpond.ports.jobs import (
    HELD_ON_S,
    Added,
    Bodies,
    Existing,
    Idempotency,
    JobQuery,
    JobStore,
    NewJob,
    OpenJobs,
    Try,
)


class MemoryJobStore(JobStore, OpenJobs):
    """Nothing survives the process. Jobs that end leave their notices in the outbox."""

    def __init__(self, clock: Clock, outbox: MemoryOutbox | None = None) -> None:
        self._clock = clock
        self._outbox = outbox or MemoryOutbox()
        self._records: dict[JobId, Job] = {}
        self._bodies: dict[JobId, Bodies] = {}
        self._keys: dict[tuple[str, str], tuple[Idempotency, JobId]] = {}
        self._tries: dict[JobId, Try] = {}
        self._changed = asyncio.Condition()

    @override
    async def add(self, new: NewJob) -> Added | Existing:
        job, idempotency = new.job, new.idempotency
        if job.id in self._records:
            return Existing(self._records[job.id], "")
        match idempotency:
            case Idempotency():
                if known := self._known(job.team, idempotency.key):
                    return known
                self._keys[job.team, idempotency.key] = (idempotency, job.id)
            case Try():
                if earlier := self._retried(idempotency):
                    return earlier
                self._tries[job.id] = idempotency
            case None:
                pass
        self._records[job.id] = job
        self._bodies[job.id] = Bodies(new.request)
        if job.state.terminal:
            self._outbox.job_ended(job)
        return Added(job)

    @override
    async def known(self, team: str, key: str) -> Existing | None:
        return self._known(team, key)

    @override
    async def retried(self, again: Try) -> Existing | None:
        return self._retried(again)

    @override
    async def get(self, job_id: JobId) -> Job | None:
        return self._records.get(job_id)

    @override
    async def bodies(self, job_id: JobId) -> Bodies | None:
        return self._bodies.get(job_id)

    @override
    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        if not self._replace(after):
            return False
        if response is not None:
            self._bodies[after.id] = Bodies(self._bodies[after.id].request, response)
        if after.state.terminal:
            self._outbox.job_ended(after)
        async with self._changed:
            self._changed.notify_all()
        return True

    @override
    async def erase(self, after: Job) -> bool:
        if not self._replace(after):
            return False
        self._bodies.pop(after.id, None)
        return True

    @override
    async def find(self, query: JobQuery) -> list[Job]:
        matching = (
            job
            for job in sorted(self._records.values(), key=lambda job: job.id, reverse=True)
            if (query.team is None or job.team == query.team)
            and (query.state is None or job.state == query.state)
            and (query.after is None or job.id < query.after)
        )
        return [job for job, _ in zip(matching, range(query.limit), strict=False)]

    @override
    async def due(self, *, now: float, accepted_before: float, limit: int) -> list[Job]:
        overdue = [job for job in self._records.values() if job.overdue(now)]
        unqueued = [
            job
            for job in self._records.values()
            if job.state is JobState.ACCEPTED
            and job.accepted_at < accepted_before
            and not job.overdue(now)
        ]
        overdue.sort(key=lambda job: job.deadline or now)
        unqueued.sort(key=lambda job: job.accepted_at)
        return (overdue + unqueued)[:limit]

    @override
    async def wait_for_change(self, job_id: JobId, version: int, timeout_s: float) -> Job | None:
        def changed() -> bool:
            job = self._records.get(job_id)
            return job is not None and job.version > version

        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(changed)
        except TimeoutError:
            return None
        return self._records[job_id]

    @override
    async def forget_keys(self, now: float, *, limit: int) -> int:
        expired = [key for key, (known, _) in self._keys.items() if known.expires_at <= now]
        expired.sort(key=lambda key: self._keys[key][0].expires_at)
        forgotten = 0
        for key in expired[:limit]:
            known, job_id = self._keys[key]
            if self._records[job_id].state.terminal:
                del self._keys[key]
                forgotten += 1
            else:
                self._keys[key] = (replace(known, expires_at=now + HELD_ON_S), job_id)
        tries = [job_id for job_id, made in self._tries.items() if made.expires_at <= now]
        for job_id in tries[:limit]:
            del self._tries[job_id]
        return forgotten + len(tries[:limit])

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        ids = list(self._records)
        begin = 0 if after is None else ids.index(after) + 1
        jobs = [self._records[job_id] for job_id in ids[begin:]]
        return [job for job in jobs if job.state in {JobState.QUEUED, JobState.RUNNING}][:limit]

    def _replace(self, after: Job) -> bool:
        before = self._records.get(after.id)
        if before is None or before.version != after.version - 1:
            return False
        self._records[after.id] = after
        return True

    def _known(self, team: str, key: str) -> Existing | None:
        known = self._keys.get((team, key))
        if known is None:
            return None
        idempotency, job = known[0], self._records[known[1]]
        if idempotency.expires_at <= self._clock.now() and job.state.terminal:
            return None
        return Existing(job, idempotency.fingerprint)

    def _retried(self, again: Try) -> Existing | None:
        now = self._clock.now()
        earlier = [
            (made.number, job_id)
            for job_id, made in self._tries.items()
            if made.fingerprint == again.fingerprint
            and made.number < again.number
            and made.expires_at > now
            and self._records[job_id].answers_tries
        ]
        if not earlier:
            return None
        _, job_id = max(earlier)
        self._tries[job_id] = again
        return Existing(self._records[job_id], again.fingerprint)

    def of_batch(self, batch_id: BatchId) -> list[Job]:
        """The records of a batch's lines."""
        return [job for job in self._records.values() if job.batch == batch_id]

    def waiting(self) -> list[Job]:
        """Records of jobs that no worker has, and that have not ended."""
        states = {JobState.ACCEPTED, JobState.QUEUED}
        return [job for job in self._records.values() if job.state in states]

    def ended(self) -> list[Job]:
        """The records that have ended, in the order of their ends."""
        ended = (job for job in self._records.values() if job.state.terminal)
        return sorted(ended, key=lambda job: job.finished_at or 0.0)
