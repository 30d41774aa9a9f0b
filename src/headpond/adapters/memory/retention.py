"""Retention in the job store in memory."""

from typing_extensions import override

from headpond.adapters.memory.batches import MemoryBatchStore
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.job import Job
from headpond.domain.retention import Rule
from headpond.ports.retention import Retention


class MemoryRetention(Retention):
    """Looks at all that is there."""

    def __init__(self, jobs: MemoryJobStore, batches: MemoryBatchStore) -> None:
        self._jobs = jobs
        self._batches = batches

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        due = [
            job
            for job in self._jobs.ended()
            if rule.erases(job, await self._batch_ended_at(job), now)
        ]
        for job in due[:limit]:
            await self._jobs.erase(job.erased(now))
        return len(due[:limit])

    async def _batch_ended_at(self, job: Job) -> float | None:
        batch = None if job.batch is None else await self._batches.get(job.batch)
        return None if batch is None else batch.ended_at
