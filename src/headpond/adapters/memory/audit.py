"""The audit log of the job store in memory."""

from collections.abc import AsyncIterator
from itertools import islice

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.job import Job
from headpond.ports.audit import Audit, AuditEntry, AuditQuery


class MemoryAudit(Audit):
    """Records are never changed after their end, so the records themselves are the log."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs

    @override
    async def read(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        async for job in self.jobs(query):
            bodies = await self._jobs.bodies(job.id)
            if bodies is None:
                yield AuditEntry(job, b"")
            else:
                yield AuditEntry(job, bodies.request, bodies.response)

    @override
    async def jobs(self, query: AuditQuery) -> AsyncIterator[Job]:
        matching = (job for job in self._jobs.ended() if query.covers(job))
        for job in islice(matching, query.limit):
            yield job
