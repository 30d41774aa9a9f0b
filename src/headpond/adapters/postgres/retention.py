"""Retention in a PostgreSQL database."""

from typing_extensions import override

from headpond.adapters.postgres import records
from headpond.adapters.postgres.connection import Connection, run
from headpond.adapters.postgres.database import Database
from headpond.domain.retention import Rule
from headpond.domain.stored import readable
from headpond.ports.retention import Retention


class PostgresRetention(Retention):
    """Each rule goes once over the jobs that ended, and its mark with it in one transaction.

    It goes once over the lines of the batches that ended too, for which it was too early before. Of
    several processes one goes at a time: it has the mark locked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        async def erase(connection: Connection) -> int:
            looked_at = await _erase_ended(connection, rule, now, limit)
            return looked_at or await _erase_lines(connection, rule, now, limit)

        return await self._database.transaction(erase)


async def _erase_ended(connection: Connection, rule: Rule, now: float, limit: int) -> int:
    marks = await run(connection, "get_mark", rule.name)
    after_time, after_seq = marks[0] if marks else (0.0, -1)
    before = now - rule.after_s
    rows = await run(connection, "read_ended", after_time, after_seq, before, limit)
    for seq, finished_at, record, batch_ended_at in rows:
        after_time, after_seq = finished_at, seq
        await _erase(connection, rule, record, batch_ended_at, now)
    if rows:
        await run(connection, "put_mark", rule.name, after_time, after_seq)
    return len(rows)


async def _erase_lines(connection: Connection, rule: Rule, now: float, limit: int) -> int:
    marks = await run(connection, "get_line_mark", rule.name)
    mark = marks[0] if marks else (0.0, -1, -1)
    rows = await run(connection, "read_lines", *mark, now - rule.after_s, limit)
    for *mark, record in rows:
        await _erase(connection, rule, record, mark[0], now)
    if rows:
        await run(connection, "put_line_mark", rule.name, *mark)
    return len(rows)


async def _erase(
    connection: Connection, rule: Rule, record: str, batch_ended_at: float | None, now: float
) -> None:
    job = readable(record)
    if job is not None and rule.erases(job, batch_ended_at, now):
        await records.erase(connection, job.erased(now))
