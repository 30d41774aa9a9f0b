"""SAQ on Redis."""

import asyncio
from collections.abc import Iterable
from typing import Any

from saq import Queue, Worker

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


class Saq(AsyncSubject):
    """One worker; results lie in the job's own record."""

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=f"{AT_LEAST_ONCE}: a sweep every 60 s returns the jobs of dead workers",
            results=BY_THE_QUEUE,
            settings=f"concurrency={CONCURRENCY} (default 10); one sweep beforehand",
        )

    async def open_producer_async(self) -> None:
        redis_store.empty(self.assignment.server_url)
        self.queue = Queue.from_url(self.assignment.server_url)
        await self.queue.connect()
        # A starting worker sweeps at once and may take jobs that it has just claimed for lost ones:
        # they run, but end aborted.  A sweep now keeps the worker's first from running.
        await self.queue.sweep()

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self.queue.enqueue("job", number=number, prompt=PROMPT)

    def work(self) -> None:
        asyncio.run(self._work())

    def stored_results(self) -> int:
        return redis_store.values_containing(self.assignment.server_url, "saq:job:*", b'"complete"')

    async def _work(self) -> None:
        async def job(_context: Any, *, number: int, prompt: str) -> Result:  # noqa: ARG001 - the submitted names
            return self.run_job(number)

        queue = Queue.from_url(self.assignment.server_url)
        await queue.connect()
        await Worker(queue, functions=[("job", job)], concurrency=CONCURRENCY).start()
