"""Dramatiq with Redis as broker and result store."""

import time
from collections.abc import Iterable
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

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


class Dramatiq(Subject):
    """One worker process with 8 threads, its default."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        url = assignment.server_url
        self.broker: Any = RedisBroker(url=url)
        self.broker.add_middleware(Results(backend=RedisBackend(url=url)))
        dramatiq.set_broker(self.broker)

        @dramatiq.actor(actor_name="job", store_results=True, broker=self.broker)
        def job(number: int, _prompt: str) -> Result:
            return self.run_job(number)

        self.job = job

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=AT_LEAST_ONCE,
            results=BY_THE_QUEUE,
            settings=f"{THREADS} threads (default)",
        )

    def open_producer(self) -> None:
        redis_store.empty(self.assignment.server_url)

    def submit_each(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.job.send(number, PROMPT)

    def work(self) -> None:
        dramatiq.Worker(self.broker, worker_threads=THREADS).start()
        while True:
            time.sleep(60)

    def stored_results(self) -> int:
        # A result's key is a hash; everything else of Dramatiq's starts with its name.
        found = redis_store.keys(self.assignment.server_url)
        return sum(not key.startswith(b"dramatiq:") for key in found)
