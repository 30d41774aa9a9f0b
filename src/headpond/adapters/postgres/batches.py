"""Batches in a PostgreSQL database, and the jobs that are their lines."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import msgspec
from typing_extensions import override

from headpond.adapters.postgres import dispatches
from headpond.adapters.postgres.connection import Connection, Row, run
from headpond.adapters.postgres.database import Database
from headpond.domain.batch import Batch, RunnerName
from headpond.domain.file import FileId
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.domain.stored import job_of, readable, readable_batch
from headpond.domain.webhook_event import batch_event
from headpond.ports.batches import BatchLines, BatchQuery, BatchStore, Line
from headpond.ports.jobs import Bodies

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Batch).decode


class PostgresBatchStore(BatchStore):
    """Open batches are few, so what is asked of all of them reads them all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, batch: Batch) -> None:
        await self._database.write(
            "insert_batch",
            batch.id,
            batch.version,
            batch.team,
            batch.status.value,
            batch.input_file,
            batch.ended_at,
            _encode(batch).decode(),
        )

    @override
    async def get(self, batch_id: BatchId) -> Batch | None:
        rows = await self._database.read("get_batch", batch_id)
        return _decode(rows[0][0]) if rows else None

    @override
    async def swap(self, after: Batch) -> bool:
        return await self._database.transaction(lambda connection: _swap(connection, after))

    @override
    async def find(self, query: BatchQuery) -> list[Batch]:
        return _batches(
            await self._database.read("find_batches", query.team, query.after, query.limit)
        )

    @override
    async def due(self, runner: RunnerName, now: float, limit: int) -> list[Batch]:
        due = (batch for batch in await self._open() if batch.free(now) or batch.runner == runner)
        return list(islice(due, limit))

    @override
    async def open_of(self, team: str) -> int:
        return sum(batch.team == team for batch in await self._open())

    @override
    async def reads(self, file_id: FileId) -> bool:
        return any(batch.input_file == file_id for batch in await self._open())

    async def _open(self) -> list[Batch]:
        return _batches(await self._database.read("open_batches"))


class PostgresBatchLines(BatchLines):
    """Counts by an index, so that looking at a large batch costs milliseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def tally(self, batch_id: BatchId) -> Mapping[JobState, int]:
        rows = await self._database.read("tally_batch", batch_id)
        return {JobState(state): count for state, count in rows}

    @override
    async def unended(self, batch_id: BatchId, limit: int) -> list[Job]:
        rows = await self._database.read("unended_of_batch", batch_id, limit)
        return [job for (record,) in rows if (job := readable(record)) is not None]

    @override
    async def present(self, job_ids: Sequence[JobId]) -> list[Line]:
        rows = await self._database.read("present_jobs", list(job_ids))
        return [
            Line(job_of(record), Bodies(request, response)) for record, request, response in rows
        ]


async def _swap(connection: Connection, after: Batch) -> bool:
    swapped = await run(
        connection,
        "swap_batch",
        after.id,
        after.version,
        after.status.value,
        after.ended_at,
        _encode(after).decode(),
    )
    if swapped and after.status.ended:
        await dispatches.publish(connection, [(batch_event(after), None)])
    return bool(swapped)


def _batches(rows: Iterable[Row]) -> list[Batch]:
    return [batch for (record,) in rows if (batch := readable_batch(record)) is not None]
