"""Dead letters in a PostgreSQL database: an index holds them and nothing else."""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.adapters.postgres.database import Database
from headpond.domain.job import Job
from headpond.domain.stored import readable
from headpond.ports.dead_letters import DeadLetters, DeadQuery

PAGE = 500


class PostgresDeadLetters(DeadLetters):
    """Reads page by page, so that no connection is held for long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        after_time, after_seq = query.since or 0.0, -1
        while True:
            rows = await self._database.read(
                "read_dead",
                after_time,
                after_seq,
                query.team,
                query.model,
                query.code,
                query.until,
                PAGE,
            )
            for seq, died_at, record in rows:
                after_time, after_seq = died_at, seq
                if job := readable(record):
                    yield job
            if len(rows) < PAGE:
                return
