"""A whole pond in memory, for tests on virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.domain.facts import Fact
from headpond.domain.job import Job, JobId, Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Answered, Outcome
from headpond.ports.engine import Engine, Gauges
from headpond.ports.events import Listener
from headpond.ports.streams import TokenStreams
from headpond.services.answers import Answers
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.services.worker import Worker
from headpond.settings import PoolSettings
from headpond.testing.records import RESPONSE, new_job
from headpond.testing.virtual_time import LoopClock

F = TypeVar("F")

ANSWER = Answered(response=RESPONSE, usage=Usage(5, 2))


class Ear(Listener):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    @override
    def hear(self, fact: Fact) -> None:
        self.facts.append(fact)

    def heard(self, kind: type[F]) -> list[F]:
        """The facts of a kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


async def answer_at_once() -> Outcome:
    """The plainest script of an engine."""
    return ANSWER


@dataclass
class ScriptedEngine(Engine):
    """Awaits `script` for each request."""

    script: Callable[[], Awaitable[Outcome]] = answer_at_once
    load: Gauges = field(default_factory=Gauges)
    is_healthy: bool = True
    asked: int = 0
    aborted: int = 0
    at_once: int = 0
    most_at_once: int = 0

    @property
    @override
    def name(self) -> str:
        return "scripted"

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.script()
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.at_once -= 1

    @override
    async def healthy(self) -> bool:
        return self.is_healthy

    @override
    async def models(self) -> list[str]:
        return ["model"]

    @override
    async def gauges(self) -> Gauges:
        return self.load

    @override
    async def close(self) -> None:
        return


class Pond:
    """Store, queue, delivery and workers; make it inside the running loop."""

    def __init__(self, settings: PoolSettings | None = None) -> None:
        self.settings = settings or PoolSettings(lease_s=30.0, max_in_flight=8)
        self.clock = LoopClock()
        self.ear = Ear()
        self.jobs = MemoryJobStore(self.clock)
        self.queue = MemoryQueue(self.clock)
        self.roster = MemoryRoster()
        self.streams: TokenStreams = MemoryTokenStreams(self.jobs)
        tickets = count()
        self.delivery = TwoStepDelivery(
            self.jobs,
            self.queue,
            clock=self.clock,
            new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
            lease_s=self.settings.lease_s,
            max_lost_leases=self.settings.retry.max_lost_leases,
        )

    def worker(
        self,
        engine: Engine,
        name: str = "worker",
        jitter: float = 0.0,
        answers: Answers | None = None,
    ) -> Worker:
        """A worker of the pool `default`; its jitter is always the same."""
        return Worker(
            self.delivery,
            engine,
            streams=self.streams,
            name=name,
            lanes=lanes_of("default"),
            settings=self.settings,
            clock=self.clock,
            listener=self.ear,
            answers=answers,
            chance=lambda: jitter,
        )

    @asynccontextmanager
    async def working(
        self,
        engine: Engine,
        name: str = "worker",
        jitter: float = 0.0,
        answers: Answers | None = None,
    ) -> AsyncGenerator[Worker]:
        """A worker that runs inside the block and is drained at its end."""
        worker = self.worker(engine, name, jitter, answers)
        worker.start()
        try:
            yield worker
        finally:
            await worker.stop(grace_s=60)

    async def submit(self, job: Job | None = None) -> JobId:
        """Queue a job."""
        return (await self.delivery.submit(new_job(job))).job.id

    async def record(self, job_id: JobId) -> Job:
        """The record of a job that exists."""
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def ended(self, *job_ids: JobId) -> list[Job]:
        """The records, once all of them have ended."""
        for job_id in job_ids:
            job = await self.record(job_id)
            while not job.state.terminal:
                job = await self.jobs.wait_for_change(job_id, job.version, 3600) or job
        return [await self.record(job_id) for job_id in job_ids]
