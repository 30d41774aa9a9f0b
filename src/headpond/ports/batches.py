"""Batches, and what is asked of the jobs that are their lines."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from headpond.domain.batch import Batch, RunnerName
from headpond.domain.file import FileId
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.ports.jobs import Bodies


class BatchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches of a team, newest first. `after` is the id that the last page ended with."""

    team: str
    after: BatchId | None = None
    limit: int = 20


class BatchStore(Protocol):
    """Records under compare-and-set. Every verb takes effect durably before it returns."""

    async def add(self, batch: Batch) -> None:
        """Store a new batch."""
        ...

    async def get(self, batch_id: BatchId) -> Batch | None:
        """The record as it stands, None if there is none."""
        ...

    async def swap(self, after: Batch) -> bool:
        """Replace the record iff the stored version is `after.version - 1`; False if not."""
        ...

    async def find(self, query: BatchQuery) -> list[Batch]:
        """The records that match, newest first."""
        ...

    async def due(self, runner: RunnerName, now: float, limit: int) -> list[Batch]:
        """Batches that have not ended and that `runner` runs, or nobody at `now`; oldest first."""
        ...

    async def open_of(self, team: str) -> int:
        """How many batches of the team have not ended."""
        ...

    async def reads(self, file_id: FileId) -> bool:
        """Whether a batch that has not ended has this file as its input."""
        ...


class Line(msgspec.Struct, frozen=True):
    """The job of a line, with its bodies."""

    job: Job
    bodies: Bodies


class BatchLines(Protocol):
    """The jobs of batches, many at a time."""

    async def tally(self, batch_id: BatchId) -> Mapping[JobState, int]:
        """How many of a batch's jobs are in which state; none is left out or zero."""
        ...

    async def unended(self, batch_id: BatchId, limit: int) -> list[Job]:
        """Jobs of a batch that have not ended."""
        ...

    async def present(self, job_ids: Sequence[JobId]) -> list[Line]:
        """Those of the jobs that there are, in the order of their ids."""
        ...
