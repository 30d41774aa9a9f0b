"""The audit log in a SQLite file: the records of jobs that ended."""

from collections.abc import AsyncIterator
from typing import Any

from typing_extensions import override

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.job import Job
from headpond.domain.stored import job_of
from headpond.ports.audit import Audit, AuditEntry, AuditQuery

PAGE = 500
"""Entries read at once: a long export neither fills the memory nor holds the reader."""

PAGE_WITH_BODIES = 8
"""The same where bodies are read too, each of which may be large."""


class SqliteAudit(Audit):
    """Reads page by page; entries that come while it reads are read too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def read(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        async for _, _, record, request, response in self._rows(query, bodies=True):
            yield AuditEntry(job_of(record), request or b"", response)

    @override
    async def jobs(self, query: AuditQuery) -> AsyncIterator[Job]:
        async for _, _, record, *_ in self._rows(query, bodies=False):
            yield job_of(record)

    async def _rows(self, query: AuditQuery, *, bodies: bool) -> AsyncIterator[tuple[Any, ...]]:
        """Each row begins with its place in the order: `seq` and `finished_at`."""
        left = query.limit
        after_time, after_seq = query.since or 0.0, -1
        page = PAGE_WITH_BODIES if bodies else PAGE
        while left is None or left > 0:
            parameters = {
                "after_time": after_time,
                "after_seq": after_seq,
                "team": query.team,
                "model": query.model,
                "until": query.until,
                "bodies": bodies,
                "limit": page if left is None else min(page, left),
            }
            rows = await self._database.read(
                lambda connection, parameters=parameters: connection.execute(
                    sql("read_audit"), parameters
                ).fetchall()
            )
            for row in rows:
                after_seq, after_time = row[:2]
                yield row
            if len(rows) < page:
                return
            left = None if left is None else left - len(rows)
