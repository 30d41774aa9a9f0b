"""PgQueuer on PostgreSQL; it keeps no return values, so the job inserts its own row."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries

from benchmarks.subjects import postgres_store
from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_JOB, PROMPT, AsyncSubject, Facts

RESULT_CONNECTIONS = 16


class Pgqueuer(AsyncSubject):
    """One manager, woken by LISTEN/NOTIFY, taking 10 jobs at a time (its default)."""

    batch_size: ClassVar[int] = 10

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=f"{AT_LEAST_ONCE}: taken again after 30 s without a heartbeat",
            results=BY_THE_JOB,
            settings=f"asyncpg, batch_size={self.batch_size} (default 10)",
        )

    async def open_producer_async(self) -> None:
        postgres_store.empty(self.assignment.server_url)
        self.connection: Any = await asyncpg.connect(self.assignment.server_url)
        self.queries = Queries(AsyncpgDriver(self.connection))
        await self.queries.install()

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self.queries.enqueue("job", _payload(number))

    def submit_batch(self, numbers: Sequence[int]) -> None:
        self.runner.run(self._submit_batch(numbers))

    def work(self) -> None:
        asyncio.run(self._work())

    def stored_results(self) -> int:
        return postgres_store.count_results(self.assignment.server_url)

    async def _submit_batch(self, numbers: Sequence[int]) -> None:
        count = len(numbers)
        payloads: list[bytes | None] = [_payload(number) for number in numbers]
        await self.queries.enqueue(["job"] * count, payloads, [0] * count)

    async def _work(self) -> None:
        url = self.assignment.server_url
        connection: Any = await asyncpg.connect(url)
        results: Any = await asyncpg.create_pool(url, min_size=4, max_size=RESULT_CONNECTIONS)
        manager = PgQueuer(AsyncpgDriver(connection))

        @manager.entrypoint("job")
        async def job(taken: Job) -> None:
            result = self.run_job(json.loads(taken.payload or b"{}")["number"])
            await results.execute(
                postgres_store.INSERT_RESULT_ASYNCPG, result["number"], json.dumps(result)
            )

        await manager.run(batch_size=self.batch_size)


class PgqueuerBatch100(Pgqueuer):
    """Takes 100 jobs at a time."""

    batch_size: ClassVar[int] = 100


def _payload(number: int) -> bytes:
    return json.dumps({"number": number, "prompt": PROMPT}).encode()
