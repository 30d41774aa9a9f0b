"""Celery with Redis as broker and result store."""

from collections.abc import Iterable
from typing import Any

from celery import Celery

from benchmarks.harness.assignment import Assignment
from benchmarks.subjects import redis_store
from benchmarks.subjects.subject import (
    AT_LEAST_ONCE,
    BY_THE_QUEUE,
    PROMPT,
    Facts,
    Result,
    Subject,
)

THREADS = 8


class CelerySubject(Subject):
    """One worker process with a pool of threads."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        url = assignment.server_url
        self.celery: Any = Celery("benchmark", broker=url, backend=url)
        self.celery.conf.task_acks_late = True
        self.celery.conf.broker_connection_retry_on_startup = True

        @self.celery.task(name="job")
        def job(number: int, _prompt: str) -> Result:
            return self.run_job(number)

        self.job = job

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=f"{AT_LEAST_ONCE}: redelivered after the visibility timeout of 1 h",
            results=BY_THE_QUEUE,
            settings=f"task_acks_late (not its default), {THREADS} threads, no gossip or mingle",
        )

    def open_producer(self) -> None:
        redis_store.empty(self.assignment.server_url)

    def submit_each(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.job.delay(number, PROMPT)

    def work(self) -> None:
        self.celery.worker_main(
            [
                *("worker", "--pool", "threads", "--concurrency", str(THREADS)),
                *("--loglevel", "ERROR", "--without-gossip", "--without-mingle"),
            ]
        )

    def stored_results(self) -> int:
        return len(redis_store.keys(self.assignment.server_url, "celery-task-meta-*"))
