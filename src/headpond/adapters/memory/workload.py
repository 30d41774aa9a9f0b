"""What comes to a pool, and when it has to be done, from a queue and records in memory."""

from collections import defaultdict

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.lane import Lane, lanes_of
from headpond.domain.quote import Backlog
from headpond.domain.scaling.due import by_minutes
from headpond.domain.scaling.observation import Due
from headpond.ports.workload import Workload


class MemoryWorkload(Workload):
    """Looks at the queue and the records of this process."""

    def __init__(self, queue: MemoryQueue, jobs: MemoryJobStore) -> None:
        self._queue = queue
        self._jobs = jobs
        self._counted: defaultdict[Lane, Backlog] = defaultdict(Backlog)

    @override
    async def arrived(self, pool: str) -> Backlog:
        counts = (self._queue.sent[lane] + self._counted[lane] for lane in lanes_of(pool))
        return sum(counts, start=Backlog())

    @override
    async def count(self, lane: Lane, sent: Backlog) -> None:
        self._counted[lane] += sent

    @override
    async def due(self, pool: str) -> list[Due]:
        return by_minutes(job for job in self._jobs.waiting() if job.pool == pool)
