"""Retention in the job store in memory."""

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.retention import Rule
from headpond.ports.retention import Retention


class MemoryRetention(Retention):
    """Looks at all that is there."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        due = [
            job
            for job in self._jobs.ended()
            if rule.covers(job) and (job.finished_at or 0.0) <= now - rule.after_s
        ]
        for job in due[:limit]:
            await self._jobs.erase(job.erased(now))
        return len(due[:limit])
