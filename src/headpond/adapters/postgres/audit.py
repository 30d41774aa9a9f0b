"""The audit log in a PostgreSQL database: the records of jobs that ended."""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.adapters.postgres.database import Database
from headpond.domain.stored import job_of
from headpond.ports.audit import Audit, AuditEntry, AuditQuery

PAGE = 500
"""Entries read at once: a long export neither fills the memory nor holds a connection."""


class PostgresAudit(Audit):
    """Reads page by page; entries that come while it reads are read too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def read(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        left = query.limit
        after_time, after_seq = query.since or 0.0, -1
        while left is None or left > 0:
            limit = PAGE if left is None else min(PAGE, left)
            rows = await self._database.read(
                "read_audit", after_time, after_seq, query.team, query.model, query.until, limit
            )
            for seq, finished_at, record, request, response in rows:
                after_time, after_seq = finished_at, seq
                yield AuditEntry(job_of(record), request or b"", response)
            if len(rows) < limit:
                return
            left = None if left is None else left - len(rows)
