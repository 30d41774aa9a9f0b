"""Retention in a SQLite file."""

import sqlite3

from typing_extensions import override

from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.retention import Rule
from headpond.domain.stored import readable
from headpond.ports.retention import Retention


class SqliteRetention(Retention):
    """Each rule goes once over the jobs that ended, and its mark with it in one transaction.

    It goes once over the lines of the batches that ended too, for which it was too early before.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        def erase(connection: sqlite3.Connection) -> int:
            looked_at = _erase_ended(connection, rule, now, limit)
            return looked_at or _erase_lines(connection, rule, now, limit)

        return await self._database.write(erase)


def _erase_ended(connection: sqlite3.Connection, rule: Rule, now: float, limit: int) -> int:
    mark = connection.execute(sql("get_mark"), (rule.name,)).fetchone()
    after_time, after_seq = mark or (0.0, -1)
    parameters = {
        "after_time": after_time,
        "after_seq": after_seq,
        "before": now - rule.after_s,
        "limit": limit,
    }
    rows = connection.execute(sql("read_ended"), parameters).fetchall()
    for seq, finished_at, record, batch_ended_at in rows:
        after_time, after_seq = finished_at, seq
        _erase(connection, rule, record, batch_ended_at, now)
    if rows:
        connection.execute(sql("put_mark"), (rule.name, after_time, after_seq))
    return len(rows)


def _erase_lines(connection: sqlite3.Connection, rule: Rule, now: float, limit: int) -> int:
    mark = connection.execute(sql("get_line_mark"), (rule.name,)).fetchone()
    ended_at, batch, line = mark or (0.0, -1, -1)
    parameters = {
        "ended_at": ended_at,
        "batch": batch,
        "line": line,
        "before": now - rule.after_s,
        "limit": limit,
    }
    rows = connection.execute(sql("read_lines"), parameters).fetchall()
    for *mark, record in rows:
        _erase(connection, rule, record, mark[0], now)
    if rows:
        connection.execute(sql("put_line_mark"), (rule.name, *mark))
    return len(rows)


def _erase(
    connection: sqlite3.Connection,
    rule: Rule,
    record: str,
    batch_ended_at: float | None,
    now: float,
) -> None:
    job = readable(record)
    if job is not None and rule.erases(job, batch_ended_at, now):
        records.erase(connection, job.erased(now))
