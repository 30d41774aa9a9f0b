"""Dead letters of the job store in memory."""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.job import Job, JobState
from headpond.ports.dead_letters import DeadLetters, DeadQuery


class MemoryDeadLetters(DeadLetters):
    """Those that are dead now."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs

    @override
    async def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        for job in self._jobs.ended():
            if job.state is JobState.DEAD and query.covers(job):
                yield job
