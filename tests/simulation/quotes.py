"""How often a job ends by what its quote said. SPEC G8.

The real submission, quotes, worker and reporter run on virtual time over memory; only arrivals and
the engine are models: a run takes longer the more runs there are at once, and varies by chance.

    python -m tests.simulation.quotes --jobs 4000 --seed 1
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from random import Random

from typing_extensions import override

from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.domain.catalogue import Catalogue
from headpond.domain.identity import Identity
from headpond.domain.job import Job, Ticket, Usage
from headpond.domain.lane import Priority, lanes_of
from headpond.domain.outcome import Answered, Outcome
from headpond.ports.engine import Engine, Gauges
from headpond.services import quotes as quoting
from headpond.services import reporting
from headpond.services.broadcast import Broadcast
from headpond.services.duty import Duty
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.reporting import Reporter
from headpond.services.submission import Order, Submission
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.services.worker import Worker
from headpond.settings import LimitSettings, PoolSettings
from headpond.testing.records import RESPONSE
from headpond.testing.virtual_time import LoopClock, run_virtually

POOL = "default"
AT_ONCE = 16
TOKEN_S = 0.002
"""Seconds for a token of a run that is alone at the engine."""

SLOWER_EACH = 0.033
"""Longer for each other run: 1.2 times with 8 at once, 2.0 with 32, much as batching engines do."""

WARM_UP_SHARE = 0.2
RUSH = 20
"""Jobs for each start from zero: they are wrong together, so it takes many starts to tell."""


class ModelEngine(Engine):
    """Continuous batching in one line; `cold_start_s` after `boot` it is healthy."""

    def __init__(self, random: Random, *, pace: Callable[[float], float]) -> None:
        self._random = random
        self._pace = pace
        self._at_once = 0
        self._healthy_at = 0.0

    def boot(self, cold_start_s: float) -> None:
        self._healthy_at = asyncio.get_running_loop().time() + cold_start_s

    @property
    @override
    def name(self) -> str:
        return "model"

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        self._at_once += 1
        now = asyncio.get_running_loop().time()
        slower = (1 + SLOWER_EACH * (self._at_once - 1)) * self._pace(now)
        await asyncio.sleep(int(request) * TOKEN_S * slower * self._random.lognormvariate(0, 0.25))
        self._at_once -= 1
        return Answered(response=RESPONSE, usage=Usage(1, 1))

    @override
    async def healthy(self) -> bool:
        return asyncio.get_running_loop().time() >= self._healthy_at

    @override
    async def models(self) -> list[str]:
        return ["model"]

    @override
    async def gauges(self) -> Gauges:
        return Gauges()

    @override
    async def close(self) -> None:
        return


@dataclass(frozen=True)
class Coverage:
    """Of `jobs` that had a quote, the share that ended by its p50 and by its p90."""

    jobs: int
    p50: float
    p90: float


@dataclass(frozen=True)
class Arrival:
    """A job after a pause of `pause_s`."""

    pause_s: float
    team: str
    priority: Priority
    tokens: int


def steady(random: Random) -> Iterator[Arrival]:
    """One after the other at about 60 % of what the engine can do, by chance."""
    while True:
        yield Arrival(random.expovariate(30), "one", Priority.BATCH, random.randint(50, 200))


def bursts(random: Random) -> Iterator[Arrival]:
    """Three teams hand in hundreds at once, and interactive work comes between."""
    while True:
        for number in range(random.randint(50, 300)):
            team = random.choice(["one", "two", "three"])
            interactive = number % 10 == 0
            priority = Priority.INTERACTIVE if interactive else Priority.BATCH
            yield Arrival(random.expovariate(100), team, priority, random.randint(50, 200))
        yield Arrival(random.uniform(5, 20), "one", Priority.BATCH, 100)


SHAPES = {"steady": steady, "bursts": bursts, "slower": bursts, "scale to zero": bursts}


def cover(shape: str, *, jobs: int, seed: int) -> Coverage:
    """Run `jobs` jobs of a shape of arrivals."""
    return run_virtually(_run(shape, jobs, Random(f"{shape} {seed}")))


async def _run(shape: str, jobs: int, random: Random) -> Coverage:
    pond = _Pond(random, slower=shape == "slower")
    arrivals = SHAPES[shape](random)
    async with pond.quoting():
        if shape == "scale to zero":
            return _coverage(await pond.with_workers_on_demand(arrivals, jobs))
        async with pond.working(cold_start_s=0.0):
            return _coverage(await pond.ended(await pond.hand_in(arrivals, jobs)))


def _coverage(jobs: list[Job]) -> Coverage:
    quoted = [
        (job.finished_at, job.quote.eta)
        for job in jobs[int(len(jobs) * WARM_UP_SHARE) :]
        if job.quote is not None and job.quote.eta is not None and job.finished_at is not None
    ]
    return Coverage(
        len(quoted),
        sum(finished <= eta.p50 for finished, eta in quoted) / len(quoted),
        sum(finished <= eta.p90 for finished, eta in quoted) / len(quoted),
    )


class _Pond:
    """Everything but the HTTP side."""

    def __init__(self, random: Random, *, slower: bool) -> None:
        self._random = random
        self._settings = PoolSettings(max_in_flight=AT_ONCE)
        self._clock = LoopClock()
        self._jobs = MemoryJobStore(self._clock)
        self._streams = MemoryTokenStreams(self._jobs)
        self._queue = MemoryQueue(self._clock)
        self._roster = MemoryRoster()
        self._quotes = Quotes(
            self._queue, self._roster, prices={POOL: None}, weights={}, clock=self._clock
        )
        tickets = count()
        self._delivery = TwoStepDelivery(
            self._jobs,
            self._queue,
            clock=self._clock,
            new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
            lease_s=30.0,
            max_lost_leases=5,
        )
        self._submission = Submission(
            self._delivery,
            jobs=self._jobs,
            pools={POOL: self._settings},
            catalogue=Catalogue({POOL: ["model"]}),
            limits=RateLimits(LimitSettings(), MemoryBuckets(self._clock)),
            quotes=self._quotes,
            weights={},
            clock=self._clock,
            listener=Broadcast(),
            idempotency_ttl_s=60.0,
            sdk_retry_window_s=1_260,
            random_bits=random.getrandbits,
        )
        self._engine = ModelEngine(random, pace=lambda now: 2.0 if slower and now > 60 else 1.0)
        self._workers = count(1)

    @asynccontextmanager
    async def quoting(self) -> AsyncGenerator[None]:
        duty = Duty("quotes", self._quotes.tick, every_s=quoting.EVERY_S, listener=Broadcast())
        duty.start()
        yield
        await duty.stop()

    @asynccontextmanager
    async def working(self, cold_start_s: float) -> AsyncGenerator[None]:
        name = f"worker-{next(self._workers)}"
        reporter = Reporter(self._roster, self._clock, worker=name, pool=POOL)
        listener = Broadcast((reporter,))
        duty = Duty("report", reporter.tick, every_s=reporting.EVERY_S, listener=listener)
        worker = Worker(
            self._delivery,
            self._engine,
            streams=self._streams,
            name=name,
            lanes=lanes_of(POOL),
            settings=self._settings,
            clock=self._clock,
            listener=listener,
            chance=self._random.random,
        )
        self._engine.boot(cold_start_s)
        duty.start()
        worker.start()
        yield
        await worker.stop(grace_s=60)
        await duty.stop()

    async def hand_in(self, arrivals: Iterator[Arrival], jobs: int) -> list[Job]:
        """Submit the next ones, each at its time."""
        return [await self._submit(next(arrivals)) for _ in range(jobs)]

    async def with_workers_on_demand(self, arrivals: Iterator[Arrival], jobs: int) -> list[Job]:
        """A worker starts with each rush and goes when there is nothing left to do."""
        ended: list[Job] = []
        while len(ended) < jobs:
            handing_in = asyncio.create_task(self.hand_in(arrivals, RUSH))
            async with self.working(self._random.uniform(25, 40)):
                ended += await self.ended(await handing_in)
            await asyncio.sleep(60)
        return ended

    async def ended(self, jobs: Sequence[Job]) -> list[Job]:
        """The records, once all have ended."""
        return [await self._ended(job) for job in jobs]

    async def _ended(self, job: Job) -> Job:
        while not job.state.terminal:
            job = await self._jobs.wait_for_change(job.id, job.version, 3600) or job
        return job

    async def _submit(self, arrival: Arrival) -> Job:
        await asyncio.sleep(arrival.pause_s)
        order = Order(
            request=str(arrival.tokens).encode(),
            prompt_chars=4 * arrival.tokens,
            max_tokens=0,
            priority=arrival.priority,
        )
        return (await self._submission.submit(order, Identity(arrival.team))).job


def main() -> None:
    parser = argparse.ArgumentParser(description="How often do jobs end by what was quoted?")
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = [f"{'arrivals':<16}{'jobs':>8}{'by p50':>9}{'by p90':>9}"]
    for shape in SHAPES:
        covered = cover(shape, jobs=options.jobs, seed=options.seed)
        rows.append(f"{shape:<16}{covered.jobs:>8}{covered.p50:>9.1%}{covered.p90:>9.1%}")
    print("\n".join(rows))  # noqa: T201


if __name__ == "__main__":
    main()
