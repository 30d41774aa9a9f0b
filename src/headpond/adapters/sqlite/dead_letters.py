"""Dead letters in a SQLite file: an index holds them and nothing else."""

from collections.abc import AsyncIterator

import msgspec
from typing_extensions import override

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.job import Job
from headpond.domain.stored import readable
from headpond.ports.dead_letters import DeadLetters, DeadQuery

PAGE = 500


class SqliteDeadLetters(DeadLetters):
    """Reads page by page, so that nobody else waits for long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        after_time, after_seq = query.since or 0.0, -1
        while True:
            parameters = msgspec.structs.asdict(query) | {
                "after_time": after_time,
                "after_seq": after_seq,
                "limit": PAGE,
            }
            rows = await self._database.read(
                lambda connection, parameters=parameters: connection.execute(
                    sql("read_dead"), parameters
                ).fetchall()
            )
            for seq, finished_at, record in rows:
                after_time, after_seq = finished_at, seq
                if job := readable(record):
                    yield job
            if len(rows) < PAGE:
                return
