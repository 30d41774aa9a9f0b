"""What comes to a pool, and when it has to be done, in a table of documents."""

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, jobs_behind
from headpond.adapters.documents.table import Change, Key, Put, Table
from headpond.domain.job import Job, JobState
from headpond.domain.lane import Lane, lanes_of
from headpond.domain.quote import Backlog
from headpond.domain.scaling.due import by_minutes
from headpond.domain.scaling.observation import Due
from headpond.ports.workload import Workload

PARTITION = "arrivals"


class DocumentWorkload(Workload):
    """The queue is elsewhere, so every process counts what it sends."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def arrived(self, pool: str) -> Backlog:
        counts = [await self._counted(lane) for lane in lanes_of(pool)]
        return sum((count for count in counts if count is not None), start=Backlog())

    @override
    async def count(self, lane: Lane, sent: Backlog) -> None:
        while True:
            standing = await self._counted(lane)
            after = _counts((standing or Backlog()) + sent)
            key = Key(PARTITION, str(lane))
            write = (
                Put({"pk": key.pk, "sk": key.sk, **after}, absent=True)
                if standing is None
                else Change(key, after, _counts(standing))
            )
            if not await self._table.write(write):
                return

    @override
    async def due(self, pool: str) -> list[Due]:
        keys = agenda(self._table, "accepted", "deadline")
        # One that has just moved may be in both.
        waiting = {job.id: job async for job in jobs_behind(self._table, keys) if _waits(job, pool)}
        return by_minutes(waiting.values())

    async def _counted(self, lane: Lane) -> Backlog | None:
        item = await self._table.get(Key(PARTITION, str(lane)))
        return None if item is None else Backlog(int(item["jobs"]), int(item["work_tokens"]))


def _counts(backlog: Backlog) -> dict[str, int]:
    return {"jobs": backlog.jobs, "work_tokens": int(backlog.work_tokens)}


def _waits(job: Job, pool: str) -> bool:
    return job.pool == pool and job.state in {JobState.ACCEPTED, JobState.QUEUED}
