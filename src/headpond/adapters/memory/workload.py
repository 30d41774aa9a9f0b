"""What comes to a pool, and when it has to be done, from a queue and records in memory."""

from itertools import groupby

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.lane import lanes_of
from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Due
from headpond.ports.workload import Workload

MINUTE_S = 60.0


class MemoryWorkload(Workload):
    """Looks at the queue and the records of this process."""

    def __init__(self, queue: MemoryQueue, jobs: MemoryJobStore) -> None:
        self._queue = queue
        self._jobs = jobs

    @override
    async def arrived(self, pool: str) -> Backlog:
        return sum((self._queue.sent[lane] for lane in lanes_of(pool)), start=Backlog())

    @override
    async def due(self, pool: str) -> list[Due]:
        waiting = [
            (_minute(job.deadline), job)
            for job in self._jobs.waiting()
            if job.deadline is not None and job.pool == pool
        ]
        by_minute = groupby(sorted(waiting, key=lambda item: item[0]), key=lambda item: item[0])
        return [
            Due(by, sum((Backlog(1, job.work_tokens) for _, job in jobs), start=Backlog()))
            for by, jobs in by_minute
        ]


def _minute(at: float) -> float:
    return (at // MINUTE_S + 1) * MINUTE_S
