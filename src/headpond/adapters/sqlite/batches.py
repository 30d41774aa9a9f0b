"""Batches in a SQLite file, and the jobs that are their lines."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec
from typing_extensions import override

from headpond.adapters.sqlite import dispatches, foreign
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.batch import Batch, RunnerName
from headpond.domain.file import FileId
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.domain.stored import job_of, readable, readable_batch
from headpond.domain.webhook_event import batch_event
from headpond.ports.batches import BatchLines, BatchQuery, BatchStore, Line
from headpond.ports.jobs import Bodies

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Batch).decode


class SqliteBatchStore(BatchStore):
    """Open batches are few, so what is asked of all of them reads them all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, batch: Batch) -> None:
        row = (
            batch.id,
            batch.version,
            batch.team,
            batch.status.value,
            batch.input_file,
            batch.ended_at,
            _encode(batch).decode(),
        )
        await self._database.write(lambda connection: connection.execute(sql("insert_batch"), row))

    @override
    async def get(self, batch_id: BatchId) -> Batch | None:
        row = await self._database.read(
            lambda connection: connection.execute(sql("get_batch"), (batch_id,)).fetchone()
        )
        return None if row is None else _decode(row[0])

    @override
    async def swap(self, after: Batch) -> bool:
        return await self._database.write(lambda connection: _swap(connection, after))

    @override
    async def find(self, query: BatchQuery) -> list[Batch]:
        parameters = {"team": query.team, "after": query.after, "limit": query.limit}
        return await self._database.read(
            lambda connection: _batches(connection.execute(sql("find_batches"), parameters))
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
        return await self._database.read(
            lambda connection: _batches(connection.execute(sql("open_batches")))
        )


class SqliteBatchLines(BatchLines):
    """Counts by an index, so that looking at a large batch costs milliseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def tally(self, batch_id: BatchId) -> Mapping[JobState, int]:
        rows = await self._database.read(
            lambda connection: connection.execute(sql("tally_batch"), (batch_id,)).fetchall()
        )
        return {JobState(state): count for state, count in rows}

    @override
    async def unended(self, batch_id: BatchId, limit: int) -> list[Job]:
        parameters = {"batch": batch_id, "limit": limit}
        rows = await self._database.read(
            lambda connection: connection.execute(sql("unended_of_batch"), parameters).fetchall()
        )
        return [job for (record,) in rows if (job := readable(record)) is not None]

    @override
    async def present(self, job_ids: Sequence[JobId]) -> list[Line]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                sql("present_jobs"), (json.dumps(job_ids),)
            ).fetchall()
        )
        return [
            Line(job_of(record), Bodies(request, response)) for record, request, response in rows
        ]


def _swap(connection: sqlite3.Connection, after: Batch) -> bool:
    row = (
        after.version,
        after.status.value,
        after.ended_at,
        foreign.rewritten(connection, after, "get_batch", after.id),
        after.id,
        after.version - 1,
    )
    if connection.execute(sql("swap_batch"), row).rowcount == 0:
        return False
    if after.status.ended:
        dispatches.publish(connection, batch_event(after))
    return True


def _batches(cursor: sqlite3.Cursor) -> list[Batch]:
    return [batch for (record,) in cursor if (batch := readable_batch(record)) is not None]
