"""Retention in a table of documents.

As in decisions/0020: each rule has a mark in the order of ends, and one in the order in which
batches ended, whose lines are looked at again. What was erased before a mark could be moved is
passed over.
"""

from collections.abc import Sequence
from operator import attrgetter

from typing_extensions import override

from headpond.adapters.documents import records
from headpond.adapters.documents.agenda import agenda, jobs_at, up_to
from headpond.adapters.documents.batches import DocumentBatchLines, DocumentBatchStore
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.table import SHARDS, Key, Put, Table, just_after
from headpond.domain.job import BatchId, Job
from headpond.domain.retention import Rule
from headpond.ports.retention import Retention


class DocumentRetention(Retention):
    """Erases in the job store what its rule covers. The lines of a batch are one step."""

    def __init__(
        self,
        table: Table,
        jobs: DocumentJobStore,
        batches: DocumentBatchStore,
        lines: DocumentBatchLines,
    ) -> None:
        self._table = table
        self._jobs = jobs
        self._batches = batches
        self._lines = lines

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        return await self._erase_ended(rule, now, limit) or await self._erase_lines(rule, now)

    async def _erase_ended(self, rule: Rule, now: float, limit: int) -> int:
        mark = await self._mark(rule, "ended")
        ended = agenda(
            self._table,
            *records.ENDS,
            after=mark,
            before=just_after(now - rule.after_s),
            at_once=limit // SHARDS + 1,
        )
        keys = await up_to(ended, limit)
        await self._erase(rule, await jobs_at(self._table, keys), now)
        if keys:
            await self._move(rule, "ended", keys[-1].sort)
        return len(keys)

    async def _erase_lines(self, rule: Rule, now: float) -> int:
        mark, before = await self._mark(rule, "batches"), just_after(now - rule.after_s)
        async for key in self._table.look("agenda", "batch-ended", after=mark, before=before):
            lines = await self._lines.all(BatchId(key.pk.removeprefix("batch#")))
            await self._erase(rule, lines, now)
            await self._move(rule, "batches", key.sort)
            if lines:
                return len(lines)
        return 0

    async def _erase(self, rule: Rule, jobs: Sequence[Job], now: float) -> None:
        ends: dict[BatchId, float | None] = {}
        for job in sorted(filter(rule.covers, jobs), key=attrgetter("id")):
            if job.batch is not None and job.batch not in ends:
                batch = await self._batches.get(job.batch)
                ends[job.batch] = None if batch is None else batch.ended_at
            ended_at = None if job.batch is None else ends[job.batch]
            if rule.erases(job, ended_at, now):
                await self._jobs.erase(job.erased(now))

    async def _mark(self, rule: Rule, order: str) -> str:
        item = await self._table.get(Key("marks", f"{order}#{rule.name}"))
        return "" if item is None else str(item["mark"])

    async def _move(self, rule: Rule, order: str, to: str) -> None:
        await self._table.write(Put({"pk": "marks", "sk": f"{order}#{rule.name}", "mark": to}))
