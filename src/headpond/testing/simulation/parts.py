"""The product's own services, put together as `wiring/` does it, in a process that can die."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.domain.catalogue import Catalogue
from headpond.domain.job import Ticket
from headpond.domain.lane import lanes_of
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import JobStore
from headpond.ports.queue import Queue
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.services.broadcast import Broadcast
from headpond.services.desk import Desk
from headpond.services.duty import Duty
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.reaper import Reaper
from headpond.services.reporting import Reporter
from headpond.services.submission import Submission
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.services.worker import Worker
from headpond.settings import LimitSettings
from headpond.testing.faults import (
    FaultyDelivery,
    FaultyJobStore,
    FaultyQueue,
    FaultyRoster,
    FaultyTokenStreams,
)
from headpond.testing.simulation.engine import EngineLink, SimulatedEngine
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.line import StoreLine
from headpond.testing.simulation.processes import Process
from headpond.testing.simulation.stores import Store
from headpond.testing.simulation.witness import Witness, WitnessedDelivery, WitnessedQueue

POOL = "default"
CATALOGUE = Catalogue({POOL: ("model",)})
REAP_EVERY_S = 3.0
ACCEPTED_GRACE_S = 3.0
LOOK_EVERY_S = 6.0
KEY_TTL_S = 90.0
DRAIN_S = 1.0


@dataclass(frozen=True)
class Surroundings:
    """What every process of a world finds."""

    fates: Fates
    clock: Clock
    store: Store
    witness: Witness
    listener: Listener
    new_ticket: Callable[[], Ticket]


class GatewayPart:
    """A gateway with the reaper beside it."""

    def __init__(self, around: Surroundings, process: Process) -> None:
        fates, clock, listener = around.fates, around.clock, around.listener
        ports = connect(around, process)
        quotes = Quotes(ports.queue, ports.roster, prices={POOL: None}, weights={}, clock=clock)
        reaper = Reaper(
            ports.jobs,
            ports.delivery,
            clock=clock,
            listener=listener,
            accepted_grace_s=ACCEPTED_GRACE_S,
        )
        self.submission = Submission(
            ports.delivery,
            jobs=ports.jobs,
            pools={POOL: fates.plan.pool},
            catalogue=CATALOGUE,
            limits=RateLimits(LimitSettings(), MemoryBuckets(clock)),
            quotes=quotes,
            weights={},
            clock=clock,
            listener=listener,
            idempotency_ttl_s=KEY_TTL_S,
            sdk_retry_window_s=KEY_TTL_S,
            random_bits=fates.dice(f"{process.name} ids").getrandbits,
        )
        self.desk = Desk(ports.jobs, clock)
        self._duties = (
            Duty("reaper", reaper.tick, every_s=REAP_EVERY_S, listener=listener),
            Duty("quotes", quotes.tick, every_s=LOOK_EVERY_S, listener=listener),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until asked to stop."""
        for duty in self._duties:
            duty.start()
        await stop.wait()
        self.desk.close()
        for duty in self._duties:
            await duty.stop()


class WorkerPart:
    """A worker at its engine."""

    def __init__(self, around: Surroundings, engine: SimulatedEngine, process: Process) -> None:
        fates, clock = around.fates, around.clock
        ports = connect(around, process, spared=fates.plan.workers_spared)
        reporter = Reporter(ports.roster, clock, worker=process.name, pool=POOL)
        listener = Broadcast((around.listener, reporter))
        self._duty = Duty("report", reporter.tick, every_s=LOOK_EVERY_S, listener=listener)
        self._worker = Worker(
            ports.delivery,
            EngineLink(engine, process),
            streams=ports.streams,
            name=process.name,
            lanes=lanes_of(POOL),
            settings=fates.plan.pool,
            clock=clock,
            listener=listener,
            chance=fates.dice(f"{process.name} jitter").random,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop, or until the worker gives up."""
        self._duty.start()
        self._worker.start()
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._worker.gave_up)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await self._worker.stop(DRAIN_S)
        await self._duty.stop()


@dataclass(frozen=True)
class Ports:
    """The store as one process reaches it."""

    jobs: JobStore
    queue: Queue
    roster: Roster
    streams: TokenStreams
    delivery: Delivery


def connect(around: Surroundings, process: Process, *, spared: bool = False) -> Ports:
    """A line to the store; nothing goes wrong on it if it is `spared`."""
    store, witness, pool = around.store, around.witness, around.fates.plan.pool
    dice = around.fates.dice(f"{process.name} line")
    line = StoreLine(process, around.fates, dice, spared=spared)
    jobs = FaultyJobStore(store.jobs, line)
    queue = FaultyQueue(WitnessedQueue(store.queue, witness), line)
    if store.delivery is not None:
        delivery = FaultyDelivery(WitnessedDelivery(store.delivery, witness), line)
    else:
        delivery = TwoStepDelivery(
            jobs,
            queue,
            clock=around.clock,
            new_ticket=around.new_ticket,
            lease_s=pool.lease_s,
            max_lost_leases=pool.retry.max_lost_leases,
        )
    return Ports(
        jobs=jobs,
        queue=queue,
        roster=FaultyRoster(store.roster, line),
        streams=FaultyTokenStreams(store.streams, line),
        delivery=delivery,
    )
