"""Retention in a SQLite file."""

import sqlite3

from typing_extensions import override

from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.retention import Rule
from headpond.ports.retention import Retention


class SqliteRetention(Retention):
    """Each rule goes once over the jobs that ended, and its mark with it in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        return await self._database.write(
            lambda connection: _erase_ended(connection, rule, now, limit)
        )


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
    for seq, finished_at, record in rows:
        after_time, after_seq = finished_at, seq
        job = records.readable(record)
        if job is not None and rule.covers(job):
            records.erase(connection, job.erased(now))
    if rows:
        connection.execute(sql("put_mark"), (rule.name, after_time, after_seq))
    return len(rows)
