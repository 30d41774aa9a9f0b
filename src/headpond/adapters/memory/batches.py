"""Batches in this process's memory."""

from collections import Counter
from collections.abc import Mapping, Sequence

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.domain.batch import Batch, RunnerName
from headpond.domain.file import FileId
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.ports.batches import BatchLines, BatchQuery, BatchStore, Line


class MemoryBatchStore(BatchStore):
    """Nothing survives the process. Batches that end leave their notices in the outbox."""

    def __init__(self, outbox: MemoryOutbox | None = None) -> None:
        self._outbox = outbox or MemoryOutbox()
        self._batches: dict[BatchId, Batch] = {}

    @override
    async def add(self, batch: Batch) -> None:
        self._batches[batch.id] = batch

    @override
    async def get(self, batch_id: BatchId) -> Batch | None:
        return self._batches.get(batch_id)

    @override
    async def swap(self, after: Batch) -> bool:
        before = self._batches.get(after.id)
        if before is None or before.version != after.version - 1:
            return False
        self._batches[after.id] = after
        if after.status.ended:
            self._outbox.batch_ended(after)
        return True

    @override
    async def find(self, query: BatchQuery) -> list[Batch]:
        added = list(self._batches)
        end = len(added)
        if query.after is not None:
            end = added.index(query.after) if query.after in added else 0
        batches = [self._batches[batch_id] for batch_id in reversed(added[:end])]
        return [batch for batch in batches if batch.team == query.team][: query.limit]

    @override
    async def due(self, runner: RunnerName, now: float, limit: int) -> list[Batch]:
        due = [batch for batch in self._open() if batch.free(now) or batch.runner == runner]
        return due[:limit]

    @override
    async def open_of(self, team: str) -> int:
        return sum(batch.team == team for batch in self._open())

    @override
    async def reads(self, file_id: FileId) -> bool:
        return any(batch.input_file == file_id for batch in self._open())

    def _open(self) -> list[Batch]:
        return [batch for batch in self._batches.values() if not batch.status.ended]


class MemoryBatchLines(BatchLines):
    """The jobs of the job store in memory."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs

    @override
    async def tally(self, batch_id: BatchId) -> Mapping[JobState, int]:
        return Counter(job.state for job in self._jobs.of_batch(batch_id))

    @override
    async def unended(self, batch_id: BatchId, limit: int) -> list[Job]:
        jobs = self._jobs.of_batch(batch_id)
        return [job for job in jobs if not job.state.terminal][:limit]

    @override
    async def present(self, job_ids: Sequence[JobId]) -> list[Line]:
        lines: list[Line] = []
        for job_id in sorted(job_ids):
            job, bodies = await self._jobs.get(job_id), await self._jobs.bodies(job_id)
            if job is not None and bodies is not None:
                lines.append(Line(job, bodies))
        return lines
