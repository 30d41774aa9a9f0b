"""Headpond itself on SQLite, with its own worker around the queue and without."""

import asyncio
import secrets
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop
from typing_extensions import override

from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_QUEUE, PROMPT, Facts, Subject
from headpond.adapters.local.clock import SystemClock
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.streams import SqliteTokenStreams
from headpond.domain.identity import time_ordered_id
from headpond.domain.job import Job, JobId, Ticket, Usage
from headpond.domain.lane import Priority, lanes_of
from headpond.domain.outcome import Answered, Outcome, Settlement
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.engine import Engine, Gauges
from headpond.ports.jobs import NewJob
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


class Pond:
    """An open database and the delivery on it."""

    def __init__(self, directory: Path) -> None:
        self.clock = SystemClock()
        self.database = Database(directory / "headpond.db")
        self.database.open()
        self.delivery: Delivery = SqliteDelivery(
            self.database,
            clock=self.clock,
            new_ticket=lambda: Ticket(self.new_id()),
            lease_s=LEASE_S,
            max_lost_leases=5,
        )

    async def submit(self, number: int) -> None:
        """Submit a job; returning means durable and queued."""
        job = Job(
            id=JobId("job_" + self.new_id()),
            ticket=Ticket(self.new_id()),
            team="benchmark",
            pool="default",
            priority=Priority.BATCH,
            model="model",
            accepted_at=self.clock.now(),
        )
        request = msgspec.json.encode(JobRequest(number, PROMPT))
        await self.delivery.submit(NewJob(job, request))

    def new_id(self) -> str:
        """An id that sorts behind those before it."""
        return time_ordered_id(self.clock.now(), secrets.randbits(74))


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
        async def submit(number: int) -> None:
            await self._pond.submit(number)

        for number in numbers:
            self._run(submit(number))

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
        statement = (
            "SELECT count(*) FROM jobs INNER JOIN responses USING (seq) WHERE state = 'succeeded'"
        )

        async def results() -> int:
            return await self._pond.database.read(
                lambda connection: connection.execute(statement).fetchone()[0]
            )

        return self._run(results())

    async def _work(self) -> None:
        pond = await self._open()
        worker = Worker(
            pond.delivery,
            JobEngine(self),
            streams=SqliteTokenStreams(pond.database),
            name="worker",
            lanes=LANES,
            settings=PoolSettings(max_in_flight=CLAIM, lease_s=LEASE_S),
            clock=pond.clock,
            listener=Broadcast(),
        )
        worker.start()
        await asyncio.Event().wait()

    async def _open(self) -> Pond:
        return Pond(self.directory)

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
