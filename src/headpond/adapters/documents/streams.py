"""Token streams in a table of documents, fenced by the records beside them.

An entry is a transaction of its own, so a stream costs far more than the job that it belongs to:
docs/backends.md says how much, and what to use instead.
"""

import asyncio

from typing_extensions import override

from headpond.adapters.documents import records
from headpond.adapters.documents.agenda import agenda, up_to
from headpond.adapters.documents.table import Check, Item, Key, Put, Table, at, raw, shard_of
from headpond.domain.job import JobId
from headpond.ports.clock import Clock
from headpond.ports.streams import Entry, TokenStreams

POLL_S = 0.1
FORGET_AT_ONCE = 100
MAX_SEQ = 10**10 - 1
HEAD = "head"


class DocumentTokenStreams(TokenStreams):
    """Who reads looks again every `POLL_S` seconds while it waits."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        last = await self._last(job_id)
        check = Check(records.key_of(job_id), {"version": run})
        if last is None:
            return None if await self._table.write(check, Put(self._head(job_id))) else 0
        if last.choices is None:
            return None if await self._table.write(check, Put(self._head(job_id))) else last.seq
        restart = Entry(last.seq + 1, run)
        return restart.seq if await self.append(job_id, restart) else None

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        check = Check(records.key_of(job_id), {"version": entry.run})
        # The second may fail where a try whose answer got lost has written it.
        return 0 not in await self._table.write(check, Put(_item(job_id, entry), absent=True))

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            items = await self._table.under(
                _pk(job_id), first=_sk(after + 1), last=_sk(MAX_SEQ), limit=limit
            )
            left_s = until - loop.time()
            if items or left_s <= 0:
                return [_entry_of(item) for item in items]
            await asyncio.sleep(min(POLL_S, left_s))

    @override
    async def forget(self, ended_before: float) -> int:
        begun_before = agenda(self._table, "stream", before=at(ended_before))
        forgotten = 0
        while some := await up_to(begun_before, FORGET_AT_ONCE):
            names = [JobId(key.pk.removeprefix("stream#")) for key in some]
            jobs = await self._table.get_many([records.key_of(name) for name in names])
            for name in names:
                job = jobs.get(records.key_of(name).pk)
                if job is None or _ended_before(ended_before, job):
                    await self._forget(name)
                    forgotten += 1
            if forgotten:
                break
        return forgotten

    async def _forget(self, job_id: JobId) -> None:
        # The head is the last by its name, and goes last: until then it leads here again.
        keys = [Key(str(item["pk"]), str(item["sk"])) for item in await self._all(job_id)]
        await self._table.delete_many(keys[:-1])
        await self._table.delete_many(keys[-1:])

    async def _all(self, job_id: JobId) -> list[Item]:
        return await self._table.under(_pk(job_id))

    async def _last(self, job_id: JobId) -> Entry | None:
        items = await self._table.under(
            _pk(job_id), first=_sk(0), last=_sk(MAX_SEQ), reverse=True, limit=1
        )
        return _entry_of(items[0]) if items else None

    def _head(self, job_id: JobId) -> Item:
        return {
            "pk": _pk(job_id),
            "sk": HEAD,
            "agenda": records.agenda_of("stream", shard_of(job_id)),
            "at": at(self._clock.now(), job_id),
        }


def _ended_before(time: float, item: Item) -> bool:
    job = records.readable(item)
    return job is not None and job.state.terminal and (job.finished_at or 0.0) < time


def _pk(job_id: JobId) -> str:
    return f"stream#{job_id}"


def _sk(seq: int) -> str:
    return f"{seq:010d}"


def _item(job_id: JobId, entry: Entry) -> Item:
    item: Item = {"pk": _pk(job_id), "sk": _sk(entry.seq), "run": entry.run}
    return item if entry.choices is None else item | {"choices": entry.choices}


def _entry_of(item: Item) -> Entry:
    choices = raw(item, "choices") if "choices" in item else None
    return Entry(int(item["sk"]), int(item["run"]), choices)
