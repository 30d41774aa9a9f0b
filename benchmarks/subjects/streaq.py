"""streaQ on Redis."""

from collections.abc import Iterable, Sequence
from typing import Any

from streaq import Worker

from benchmarks.harness.assignment import Assignment
from benchmarks.subjects import redis_store
from benchmarks.subjects.subject import (
    AT_LEAST_ONCE,
    BY_THE_QUEUE,
    PROMPT,
    AsyncSubject,
    Facts,
    Result,
)

CONCURRENCY = 16


class Streaq(AsyncSubject):
    """One worker on streams with a consumer group."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self.worker: Any = Worker(redis_url=assignment.server_url, concurrency=CONCURRENCY)

        @self.worker.task(name="job")
        async def job(number: int, _prompt: str) -> Result:
            return self.run_job(number)

        self.job = job

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=f"{AT_LEAST_ONCE}: redelivered after 60 s without a heartbeat",
            results=f"{BY_THE_QUEUE}, for 5 min",
            settings=f"concurrency={CONCURRENCY} (default)",
        )

    async def open_producer_async(self) -> None:
        redis_store.empty(self.assignment.server_url)

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        async with self.worker:
            for number in numbers:
                await self.job.enqueue(number, PROMPT)

    def submit_batch(self, numbers: Sequence[int]) -> None:
        self.runner.run(self._submit_batch(numbers))

    def work(self) -> None:
        self.worker.run_sync()

    def stored_results(self) -> int:
        return len(redis_store.keys(self.assignment.server_url, "streaq:*:task:results:*"))

    async def _submit_batch(self, numbers: Sequence[int]) -> None:
        async with self.worker:
            await self.worker.enqueue_many([self.job.enqueue(n, PROMPT) for n in numbers])
