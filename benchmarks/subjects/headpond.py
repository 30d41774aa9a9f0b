"""Headpond itself on SQLite and on PostgreSQL, with its own worker around the queue and without."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop
from typing_extensions import override

from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_QUEUE, PROMPT, Facts, Subject
from headpond.adapters.local.clock import SystemClock
from headpond.adapters.postgres.connection import Connection
from headpond.adapters.postgres.database import Database as PostgresDatabase
from headpond.adapters.postgres.delivery import PostgresDelivery
from headpond.adapters.postgres.streams import PostgresTokenStreams
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.streams import SqliteTokenStreams
from headpond.domain.identity import time_ordered_id
from headpond.domain.job import Job, JobId, Ticket, Usage
from headpond.domain.lane import Priority, lanes_of
from headpond.domain.outcome import Answered, Outcome, Settlement
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.engine import Engine, Gauges
from headpond.ports.jobs import NewJob
from headpond.ports.streams import TokenStreams
from headpond.services.broadcast import Broadcast
from headpond.services.worker import Worker
from headpond.settings import PoolSettings

T = TypeVar("T")

CLAIM = 64
LEASE_S = 300.0
LANES = lanes_of("default")


class JobRequest(msgspec.Struct):
    """The request body of a measured job."""

    number: int
    prompt: str


COUNT = "SELECT count(*) FROM jobs INNER JOIN responses USING (seq) WHERE state = 'succeeded'"


class Pond:
    """An open store."""

    def __init__(
        self,
        clock: Clock,
        delivery: Delivery,
        streams: TokenStreams,
        count_results: Callable[[], Awaitable[int]],
    ) -> None:
        self.clock = clock
        self.delivery = delivery
        self.streams = streams
        self.count_results = count_results

    async def submit(self, number: int) -> None:
        """Submit a job; returning means durable and queued."""
        job = Job(
            id=JobId("job_" + new_id(self.clock)),
            ticket=Ticket(new_id(self.clock)),
            team="benchmark",
            pool="default",
            priority=Priority.BATCH,
            model="model",
            accepted_at=self.clock.now(),
        )
        request = msgspec.json.encode(JobRequest(number, PROMPT))
        await self.delivery.submit(NewJob(job, request))


def pond_on_sqlite(directory: Path) -> Pond:
    """The embedded store, in a file in the folder."""
    clock = SystemClock()
    database = Database(directory / "headpond.db")
    database.open()
    delivery = SqliteDelivery(
        database,
        clock=clock,
        new_ticket=lambda: Ticket(new_id(clock)),
        lease_s=LEASE_S,
        max_lost_leases=5,
    )

    return Pond(clock, delivery, SqliteTokenStreams(database), results_in(database))


def results_in(database: Database) -> Callable[[], Awaitable[int]]:
    """Counts what succeeded with a result."""

    async def results() -> int:
        return await database.read(lambda connection: connection.execute(COUNT).fetchone()[0])

    return results


async def pond_on_postgres(url: str) -> Pond:
    """The store on the server."""
    clock = SystemClock()
    database = PostgresDatabase(url)
    await database.open()
    delivery = PostgresDelivery(
        database,
        clock=clock,
        new_ticket=lambda: Ticket(new_id(clock)),
        lease_s=LEASE_S,
        max_lost_leases=5,
    )

    async def results() -> int:
        ((count,),) = await database.on_connection(lambda connection: connection.fetch(COUNT))
        return count

    return Pond(clock, delivery, PostgresTokenStreams(database), results)


def new_id(clock: Clock) -> str:
    """An id that sorts behind those before it."""
    return time_ordered_id(clock.now(), secrets.randbits(74))


class JobEngine(Engine):
    """Runs the measured job in place of a model: answers at once, in this process."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    @override
    def name(self) -> str:
        return "job"

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        return answer(self._subject, request)

    @override
    async def healthy(self) -> bool:
        return True

    @override
    async def models(self) -> list[str]:
        return ["model"]

    @override
    async def gauges(self) -> Gauges:
        return Gauges()

    @override
    async def close(self) -> None:
        return


def answer(subject: Subject, request: bytes) -> Answered:
    """Run the job that a request stands for."""
    number = msgspec.json.decode(request, type=JobRequest).number
    return Answered(response=msgspec.json.encode(subject.run_job(number)), usage=Usage(150, 2))


class Headpond(Subject):
    """The product's own worker, 64 jobs in flight."""

    @override
    def facts(self) -> Facts:
        return Facts(
            durability="SQLite, write-ahead log, synchronous=FULL: survives a power cut",
            delivery=AT_LEAST_ONCE,
            results=BY_THE_QUEUE,
            settings="one worker process, 64 in flight (default 16)",
        )

    @override
    def open_producer(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._pond = self._run(self._open())

    @override
    def submit_each(self, numbers: Iterable[int]) -> None:
        async def submit() -> None:
            for number in numbers:
                await self._pond.submit(number)

        self._run(submit())

    def submit_batch(self, numbers: Sequence[int]) -> None:
        """64 concurrent clients, as a gateway has them: their submits share commits."""

        async def submit() -> None:
            await asyncio.gather(*(self._pond.submit(number) for number in numbers))

        self._run(submit())

    @override
    def work(self) -> None:
        uvloop.run(self._work())

    @override
    def stored_results(self) -> int:
        async def results() -> int:
            return await self._pond.count_results()

        return self._run(results())

    async def _work(self) -> None:
        pond = await self._open()
        worker = Worker(
            pond.delivery,
            JobEngine(self),
            streams=pond.streams,
            name="worker",
            lanes=LANES,
            settings=PoolSettings(max_in_flight=CLAIM, lease_s=LEASE_S),
            clock=pond.clock,
            listener=Broadcast(),
        )
        worker.start()
        await asyncio.Event().wait()

    async def _open(self) -> Pond:
        return pond_on_sqlite(self.directory)

    def _run(self, work: Coroutine[object, object, T]) -> T:
        return self._runner.run(work)


class HeadpondDelivery(Headpond):
    """The queue without the worker around it: claim 64, run them, settle them, again."""

    @override
    def facts(self) -> Facts:
        settings = "no worker: two plain loops, each claims and settles 64 at a time"
        return replace(super().facts(), settings=settings)

    @override
    async def _work(self) -> None:
        pond = await self._open()
        await asyncio.gather(*(self._claim_on_and_on(pond, f"loop-{n}") for n in range(2)))

    async def _claim_on_and_on(self, pond: Pond, name: str) -> None:
        while True:
            claims = await pond.delivery.claim(LANES, worker=name, limit=CLAIM, wait_s=60)
            await asyncio.gather(*(self._settle(pond, claim) for claim in claims))

    async def _settle(self, pond: Pond, claim: Claim) -> None:
        answered = answer(self, claim.request)
        after = claim.job.succeeded(pond.clock.now(), engine="job", usage=answered.usage)
        await pond.delivery.settle(claim, Settlement(job=after, response=answered.response))


class HeadpondPostgres(Headpond):
    """The same worker on PostgreSQL."""

    @override
    def facts(self) -> Facts:
        return replace(super().facts(), durability=self.assignment.server_durability)

    @override
    def open_producer(self) -> None:
        empty = PostgresDatabase(self.assignment.server_url)

        async def drop(connection: Connection) -> None:
            await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

        asyncio.run(empty.on_connection(drop))
        super().open_producer()

    @override
    async def _open(self) -> Pond:
        return await pond_on_postgres(self.assignment.server_url)


class HeadpondPostgresDelivery(HeadpondPostgres, HeadpondDelivery):
    """The queue on PostgreSQL without the worker around it."""
