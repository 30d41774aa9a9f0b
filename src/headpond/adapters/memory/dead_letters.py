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
            if job.state is JobState.DEAD and _matches(job, query):
                yield job


def _matches(job: Job, query: DeadQuery) -> bool:
    died_at = job.finished_at or 0.0
    return (
        (query.team is None or job.team == query.team)
        and (query.model is None or job.model == query.model)
        and (query.code is None or (job.error is not None and job.error.code == query.code))
        and (query.since is None or died_at >= query.since)
        and (query.until is None or died_at < query.until)
    )
