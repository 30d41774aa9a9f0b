"""The audit log in a table of documents: the records of jobs that ended.

The order of ends comes from an index, which may lag behind by some moments.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from typing_extensions import override

from headpond.adapters.documents import records
from headpond.adapters.documents.agenda import agenda, items_at, up_to
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.table import Table, at
from headpond.domain.job import Job
from headpond.ports.audit import Audit, AuditEntry, AuditQuery

AT_ONCE = 25
"""Entries that are read at once."""

BODIES_AT_ONCE = 8
"""Entries whose bodies are read side by side, each of which may be large."""


class DocumentAudit(Audit):
    """Reads on as it is read; entries that come meanwhile are read too."""

    def __init__(self, table: Table, bodies: DocumentBodies) -> None:
        self._table = table
        self._bodies = bodies

    @override
    async def read(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        async for jobs in self._pages(query):
            for first in range(0, len(jobs), BODIES_AT_ONCE):
                some = jobs[first : first + BODIES_AT_ONCE]
                for entry in await asyncio.gather(*map(self._entry, some)):
                    yield entry

    @override
    async def jobs(self, query: AuditQuery) -> AsyncIterator[Job]:
        async for jobs in self._pages(query):
            for job in jobs:
                yield job

    async def _pages(self, query: AuditQuery) -> AsyncIterator[Sequence[Job]]:
        left = query.limit
        before = "" if query.until is None else at(query.until)
        after = "" if query.since is None else at(query.since)
        ended = agenda(self._table, *records.ENDS, after=after, before=before)
        while (left is None or left > 0) and (keys := await up_to(ended, AT_ONCE)):
            # The index may lag behind: who ended again since then is told of there.
            places = {key.sort for key in keys}
            ended_there = map(records.job_of, await items_at(self._table, keys))
            jobs = [
                job
                for job in ended_there
                if at(job.finished_at or 0.0, job.id) in places and query.covers(job)
            ]
            yield jobs[:left]
            left = None if left is None else left - len(jobs)

    async def _entry(self, job: Job) -> AuditEntry:
        found = await self._bodies.read(job.id)
        if found is None:
            return AuditEntry(job, b"")
        return AuditEntry(job, found.request, found.response)
