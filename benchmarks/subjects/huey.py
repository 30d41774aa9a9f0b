"""huey on SQLite."""

from collections.abc import Iterable
from typing import Any

from huey import SqliteHuey

from benchmarks.harness.assignment import Assignment
from benchmarks.subjects.subject import (
    AT_MOST_ONCE,
    BY_THE_QUEUE,
    PROMPT,
    Facts,
    Result,
    Subject,
)

POLL_S = 0.005


class Huey(Subject):
    """One consumer with one thread."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        # fsync=True sets synchronous=FULL whatever the SQLite library's default is.
        self.huey: Any = SqliteHuey(
            "benchmark", filename=str(self.directory / "huey.db"), fsync=True
        )

        @self.huey.task(name="job")
        def job(number: int, _prompt: str) -> Result:
            return self.run_job(number)

        self.job = job

    def facts(self) -> Facts:
        return Facts(
            durability="write-ahead log, synchronous=FULL: survives a power cut",
            delivery=f"{AT_MOST_ONCE}: taking a job deletes its row",
            results=BY_THE_QUEUE,
            settings=f"polls every {POLL_S * 1000:g} ms (default 100 ms, growing to 10 s)",
        )

    def open_producer(self) -> None:
        self.huey.flush()

    def submit_each(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.job(number, PROMPT)

    def work(self) -> None:
        self.huey.create_consumer(
            workers=1,
            worker_type="thread",
            periodic=False,
            initial_delay=POLL_S,
            max_delay=POLL_S,
            backoff=1.0,
        ).run()

    def stored_results(self) -> int:
        return int(self.huey.storage.result_store_size())
