"""taskiq on Redis streams."""

import asyncio
from collections.abc import Iterable
from typing import Any

from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

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

RESULT_PREFIX = "result"


class Taskiq(AsyncSubject):
    """One receiver; a job is acknowledged after its result is saved."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        url = assignment.server_url
        backend: Any = RedisAsyncResultBackend(url, prefix_str=RESULT_PREFIX)
        self.broker: Any = RedisStreamBroker(url).with_result_backend(backend)

        @self.broker.task(task_name="job")
        async def job(number: int, _prompt: str) -> Result:
            return self.run_job(number)

        self.job = job

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=f"{AT_LEAST_ONCE}: unacknowledged jobs are taken over after 10 min",
            results=BY_THE_QUEUE,
            settings="max_async_tasks=100 (default)",
        )

    async def open_producer_async(self) -> None:
        redis_store.empty(self.assignment.server_url)
        await self.broker.startup()

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self.job.kiq(number, PROMPT)

    def work(self) -> None:
        asyncio.run(run_receiver_task(self.broker, run_startup=True))

    def stored_results(self) -> int:
        return len(redis_store.keys(self.assignment.server_url, f"{RESULT_PREFIX}:*"))
