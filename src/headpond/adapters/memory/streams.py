"""Token streams in this process's memory, fenced by the job store beside them."""

import asyncio
import contextlib

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.job import JobId
from headpond.ports.streams import Entry, TokenStreams


class MemoryTokenStreams(TokenStreams):
    """Nothing survives the process."""

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs
        self._entries: dict[JobId, list[Entry]] = {}
        self._changed = asyncio.Condition()

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        if not await self._stands(job_id, run):
            return None
        entries = self._entries.setdefault(job_id, [])
        if entries and entries[-1].choices is not None:
            await self._add(entries, Entry(len(entries) + 1, run))
        return len(entries)

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        if not await self._stands(job_id, entry.run):
            return False
        entries = self._entries.setdefault(job_id, [])
        if entry.seq == len(entries) + 1:
            await self._add(entries, entry)
        return True

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s), self._changed:
                    await self._changed.wait_for(lambda: len(self._entries.get(job_id, [])) > after)
        return self._entries.get(job_id, [])[after : after + limit]

    @override
    async def forget(self, ended_before: float) -> int:
        ended = [job for job in self._jobs.ended() if (job.finished_at or 0.0) < ended_before]
        return sum(bool(self._entries.pop(job.id, None)) for job in ended)

    async def _add(self, entries: list[Entry], entry: Entry) -> None:
        entries.append(entry)
        async with self._changed:
            self._changed.notify_all()

    async def _stands(self, job_id: JobId, run: int) -> bool:
        job = await self._jobs.get(job_id)
        return job is not None and job.version == run
