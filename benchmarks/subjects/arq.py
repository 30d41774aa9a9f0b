"""arq on Redis."""

import asyncio
from collections.abc import Iterable
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from benchmarks.subjects import redis_store
from benchmarks.subjects.subject import (
    AT_LEAST_ONCE,
    BY_THE_QUEUE,
    PROMPT,
    AsyncSubject,
    Facts,
    Result,
)

POLL_S = 0.01
CONCURRENCY = 100


class Arq(AsyncSubject):
    """One worker, tuned: with its default poll of 0.5 s the poll is all one would measure."""

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=AT_LEAST_ONCE,
            results=BY_THE_QUEUE,
            settings=f"poll_delay={POLL_S} (default 0.5 s), max_jobs={CONCURRENCY} (default 10)",
        )

    async def open_producer_async(self) -> None:
        redis_store.empty(self.assignment.server_url)
        self.pool = await create_pool(self._settings())

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self.pool.enqueue_job("job", number, PROMPT)

    def work(self) -> None:
        async def job(ctx: dict[Any, Any], number: int, _prompt: str) -> Result:  # noqa: ARG001 - as arq calls it
            return self.run_job(number)

        # arq takes the current loop when it is built, and Python no longer makes one by itself.
        asyncio.set_event_loop(asyncio.new_event_loop())
        Worker(
            functions=[func(job, name="job")],
            redis_settings=self._settings(),
            max_jobs=CONCURRENCY,
            poll_delay=POLL_S,
        ).run()

    def stored_results(self) -> int:
        return len(redis_store.keys(self.assignment.server_url, "arq:result:*"))

    def _settings(self) -> RedisSettings:
        return RedisSettings.from_dsn(self.assignment.server_url)
