"""A plain SQLite table: what the file and Python's module allow, with no queue around them.

One table, a partial index over what is ready, a lease and the result in the row.  It is the
yardstick for every queue on SQLite, ours included.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import ClassVar

from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_QUEUE, PROMPT, Facts, Subject

LEASE_S = 300
POLL_S = 0.005

CREATE = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, state INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 0, lease_until REAL, attempts INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL, result TEXT, submitted REAL NOT NULL, completed REAL
);
CREATE INDEX ready ON jobs (priority DESC, id) WHERE state = 0;
"""
INSERT = "INSERT INTO jobs (key, payload, submitted) VALUES (?, ?, ?)"
PEEK = "SELECT 1 FROM jobs WHERE state = 0 LIMIT 1"
# An expired lease is ready again in a real queue; the yardstick leaves that out.
CLAIM = """
UPDATE jobs SET state = 1, lease_until = ?, attempts = attempts + 1
WHERE id IN (SELECT id FROM jobs WHERE state = 0 ORDER BY priority DESC, id LIMIT ?)
RETURNING id, payload
"""
COMPLETE = "UPDATE jobs SET state = 2, result = ?, completed = ? WHERE id = ?"
COUNT = "SELECT count(*) FROM jobs WHERE state = 2 AND result IS NOT NULL"


class BareSqlite(Subject):
    """Claims one job at a time."""

    claim: ClassVar[int] = 1

    def facts(self) -> Facts:
        return Facts(
            durability="write-ahead log, synchronous=FULL: survives a power cut",
            delivery=f"{AT_LEAST_ONCE} in form: leases are written, but nothing expires them",
            results=BY_THE_QUEUE,
            settings=f"claims {self.claim} at a time, polls every {POLL_S * 1000:g} ms",
        )

    def open_producer(self) -> None:
        self.connection = self._connect()
        self.connection.executescript(CREATE)

    def submit_each(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.connection.execute(INSERT, _row(number))

    def submit_batch(self, numbers: Sequence[int]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(INSERT, [_row(number) for number in numbers])
        self.connection.execute("COMMIT")

    def work(self) -> None:
        connection = self._connect()
        while True:
            # Reading first: a claim that finds nothing would still take the write lock.
            if connection.execute(PEEK).fetchone() is None:
                time.sleep(POLL_S)
                continue
            self._claim_and_complete(connection)

    def stored_results(self) -> int:
        return int(self.connection.execute(COUNT).fetchone()[0])

    def _claim_and_complete(self, connection: sqlite3.Connection) -> None:
        claimed = connection.execute(CLAIM, (time.time() + LEASE_S, self.claim)).fetchall()
        completions = [
            (json.dumps(self.run_job(json.loads(payload)["number"])), time.time(), job_id)
            for job_id, payload in claimed
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(COMPLETE, completions)
        connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.directory / "bare.db", isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


class BareSqliteClaim64(BareSqlite):
    """Claims 64 jobs at a time: one commit for 64 claims, one for 64 results."""

    claim: ClassVar[int] = 64


def _row(number: int) -> tuple[str, str, float]:
    return f"job-{number}", json.dumps({"number": number, "prompt": PROMPT}), time.time()
