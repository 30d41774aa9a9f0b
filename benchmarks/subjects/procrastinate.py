"""Procrastinate on PostgreSQL; it keeps no return values, so the job inserts its own row."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from benchmarks.harness.assignment import Assignment
from benchmarks.subjects import postgres_store
from benchmarks.subjects.subject import BY_THE_JOB, PROMPT, AsyncSubject, Facts

CONCURRENCY = 16


class Procrastinate(AsyncSubject):
    """One worker, woken by LISTEN/NOTIFY."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        connector = PsycopgConnector(conninfo=assignment.server_url, max_size=CONCURRENCY + 4)
        self.app = App(connector=connector)

        @self.app.task(name="job", queue="benchmark")
        async def job(number: int, prompt: str) -> None:  # noqa: ARG001 - the submitted names
            row = (number, json.dumps(self.run_job(number)))
            async with self.results.connection() as connection:
                await connection.execute(postgres_store.INSERT_RESULT_PSYCOPG, row)

        self.job: Any = job

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery="at most once, unless you schedule a task that retries stalled jobs",
            results=BY_THE_JOB,
            settings=f"concurrency={CONCURRENCY} (default 1)",
        )

    async def open_producer_async(self) -> None:
        postgres_store.empty(self.assignment.server_url)
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self.job.defer_async(number=number, prompt=PROMPT)

    def submit_batch(self, numbers: Sequence[int]) -> None:
        jobs = [{"number": number, "prompt": PROMPT} for number in numbers]
        self.runner.run(self.job.batch_defer_async(*jobs))

    def work(self) -> None:
        asyncio.run(self._work())

    def stored_results(self) -> int:
        return postgres_store.count_results(self.assignment.server_url)

    async def _work(self) -> None:
        async with (
            AsyncConnectionPool(
                self.assignment.server_url,
                min_size=4,
                max_size=CONCURRENCY,
                kwargs={"autocommit": True},
            ) as self.results,
            self.app.open_async(),
        ):
            await self.app.run_worker_async(concurrency=CONCURRENCY, queues=["benchmark"])
