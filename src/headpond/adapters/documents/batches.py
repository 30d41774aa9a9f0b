"""Batches, and the jobs that are their lines, in a table of documents."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from typing_extensions import override

from headpond.adapters.documents import dispatches, records
from headpond.adapters.documents.agenda import items_at, jobs_at, merged, up_to
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.table import SHARDS, Change, Item, Key, Put, Table, Value, at, raw
from headpond.domain.batch import Batch, RunnerName
from headpond.domain.file import FileId
from headpond.domain.job import TERMINAL, BatchId, Job, JobId, JobState
from headpond.domain.stored import readable_batch
from headpond.ports.batches import BatchLines, BatchQuery, BatchStore, Line

AT_ONCE = 32
"""Lines that are read side by side."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Batch).decode


class DocumentBatchStore(BatchStore):
    """Those that are open are few, and in one partition of the agenda: who asks reads them all."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def add(self, batch: Batch) -> None:
        item: Item = {
            "pk": f"batch#{batch.id}",
            "sk": "-",
            "family": f"batches#{batch.team}",
            "name": batch.id,
            **_moving(batch),
        }
        # It is new, and whose answer got lost must not write it over what became of it.
        await self._table.write(Put(item, absent=True))

    @override
    async def get(self, batch_id: BatchId) -> Batch | None:
        item = await self._table.get(Key(f"batch#{batch_id}"))
        return None if item is None else _batch_of(item)

    @override
    async def swap(self, after: Batch) -> bool:
        notices = await dispatches.batch_notices(self._table, after) if after.status.ended else ()
        change = Change(Key(f"batch#{after.id}"), _moving(after), {"version": after.version - 1})
        return not await self._table.write(change, *notices)

    @override
    async def find(self, query: BatchQuery) -> list[Batch]:
        if query.after is not None and await self.get(query.after) is None:
            return []
        mine = self._table.look(
            "family", f"batches#{query.team}", before=query.after or "", reverse=True
        )
        return await self._read(await up_to(mine, query.limit))

    @override
    async def due(self, runner: RunnerName, now: float, limit: int) -> list[Batch]:
        due = [batch for batch in await self._open() if batch.free(now) or batch.runner == runner]
        return due[:limit]

    @override
    async def open_of(self, team: str) -> int:
        return sum(batch.team == team for batch in await self._open())

    @override
    async def reads(self, file_id: FileId) -> bool:
        return any(batch.input_file == file_id for batch in await self._open())

    async def _open(self) -> list[Batch]:
        batches = await self._read(await up_to(self._table.look("agenda", "batch"), None))
        return [batch for batch in batches if not batch.status.ended]

    async def _read(self, keys: Sequence[Key]) -> list[Batch]:
        found = map(raw, await items_at(self._table, keys))
        return [batch for record in found if (batch := readable_batch(record)) is not None]


class DocumentBatchLines(BatchLines):
    """The jobs of the job store in the same table."""

    def __init__(self, table: Table, bodies: DocumentBodies) -> None:
        self._table = table
        self._bodies = bodies

    @override
    async def tally(self, batch_id: BatchId) -> Mapping[JobState, int]:
        return Counter(
            [JobState(key.sort.partition("#")[0]) async for key in self._lines(batch_id)]
        )

    @override
    async def unended(self, batch_id: BatchId, limit: int) -> list[Job]:
        found: list[Job] = []
        for state in JobState:
            if state not in TERMINAL and len(found) < limit:
                keys = await up_to(self._lines(batch_id, state), limit - len(found))
                found += await jobs_at(self._table, keys)
        return [job for job in found if not job.state.terminal]

    @override
    async def present(self, job_ids: Sequence[JobId]) -> list[Line]:
        lines: list[Line] = []
        names = sorted(job_ids)
        for begin in range(0, len(names), AT_ONCE):
            some = names[begin : begin + AT_ONCE]
            found = await asyncio.gather(*(self._line(job_id) for job_id in some))
            lines += [line for line in found if line is not None]
        return lines

    async def all(self, batch_id: BatchId) -> list[Job]:
        """Every job of a batch."""
        return await jobs_at(self._table, await up_to(self._lines(batch_id), None))

    async def _line(self, job_id: JobId) -> Line | None:
        items = await self._table.under(f"job#{job_id}")
        found = await self._bodies.of(job_id, items)
        return None if found is None else Line(records.job_of(items[0]), found)

    def _lines(self, batch_id: BatchId, state: JobState | None = None) -> AsyncIterator[Key]:
        begins = "" if state is None else f"{state}#"
        return merged(
            [
                self._table.look("lines", records.lines_of(batch_id, shard), begins=begins)
                for shard in range(SHARDS)
            ]
        )


def _batch_of(item: Item) -> Batch:
    return _decode(raw(item))


def _moving(batch: Batch) -> dict[str, Value]:
    ended_at = batch.ended_at if batch.status.ended else None
    return {
        "version": batch.version,
        "record": _encode(batch),
        "agenda": "batch" if ended_at is None else "batch-ended",
        "at": at(batch.created_at if ended_at is None else ended_at, batch.id),
    }
