"""persist-queue's SQLiteAckQueue; it keeps no results, so the job inserts its own beside it."""

import json
import sqlite3
from collections.abc import Iterable
from typing import ClassVar

from persistqueue import SQLiteAckQueue

from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_JOB, PROMPT, Facts, Subject


class PersistQueue(Subject):
    """Producer and worker are threads of one process.

    The queue is not made for two: a process that waits looks for others' jobs only every 10 s, and
    taking a job is a read followed by a write.
    """

    worker_in_producer: ClassVar[bool] = True

    def facts(self) -> Facts:
        level = self.results.execute("PRAGMA synchronous").fetchone()[0]
        return Facts(
            durability=f"write-ahead log, SQLite's own default: synchronous={level} (2 is FULL)",
            delivery=f"{AT_LEAST_ONCE}: unacknowledged jobs return when the queue is reopened",
            results=BY_THE_JOB,
            settings="worker thread in the producer's process; results in a second file",
        )

    def open_producer(self) -> None:
        self.queue = SQLiteAckQueue(str(self.directory / "queue"), multithreading=True)
        self.results = sqlite3.connect(
            self.directory / "results.db", isolation_level=None, check_same_thread=False
        )
        self.results.execute("PRAGMA journal_mode = WAL")
        self.results.execute("CREATE TABLE results (number INTEGER PRIMARY KEY, result TEXT)")

    def submit_each(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.queue.put({"number": number, "prompt": PROMPT})

    def work(self) -> None:
        while True:
            job = self.queue.get()
            result = self.run_job(job["number"])
            row = (result["number"], json.dumps(result))
            self.results.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", row)
            self.queue.ack(job)

    def stored_results(self) -> int:
        return int(self.results.execute("SELECT count(*) FROM results").fetchone()[0])
