"""One world: gateways, workers, engines and clients on one store, until everything is at rest.

First faults strike. Then it is calm: nothing new goes wrong, whatever was stopped goes on, and
every job must come to its end within a bound of time. Then the parts are asked to stop, one kind
after the other, and what they leave behind is counted.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextvars import Context
from functools import partial
from itertools import count
from typing import Any

import msgspec
from typing_extensions import override

from headpond.domain.facts import Fact, JobClaimed, JobSubmitted
from headpond.domain.job import Job, Ticket
from headpond.domain.lane import lanes_of
from headpond.ports.audit import AuditQuery
from headpond.ports.events import Listener
from headpond.ports.jobs import HELD_ON_S, JobQuery
from headpond.ports.queue import Message, message_of
from headpond.testing.simulation.clients import Client
from headpond.testing.simulation.engine import SimulatedEngine
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.hosts import Host
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.parts import (
    KEY_TTL_S,
    POOL,
    REAP_EVERY_S,
    GatewayPart,
    Surroundings,
    WorkerPart,
)
from headpond.testing.simulation.plan import Fault, draw
from headpond.testing.simulation.processes import ProcessClock, ProcessLoop, bury
from headpond.testing.simulation.stores import OpenStore
from headpond.testing.simulation.witness import Witness

STORM_S = 30.0
REST_WITHIN_S = 200.0
LOOK_EVERY_S = 1.0
STOP_WITHIN_S = 30.0


class Run(msgspec.Struct, frozen=True):
    """What became of one seed. `digest` is the same whenever the seed is run again."""

    seed: int
    steps: int
    virtual_s: float
    faults: dict[Fault, int]
    violations: list[str]
    digest: str
    trace: list[str]


def simulate(seed: int, open_store: OpenStore, *, keep_trace: bool = False) -> Run:
    """Run the world of a seed on an empty store."""
    loop = ProcessLoop()
    fates = Fates(seed, draw(seed), loop.time, keep_trace=keep_trace)
    loop.set_exception_handler(lambda _, context: fates.violated(f"nobody handled {context}"))
    try:
        loop.run_until_complete(World(fates).run(open_store))
    except Exception as error:  # noqa: BLE001 - it is a finding like any other
        fates.violated(f"the world stopped: {error!r}")
    finally:
        bury(loop)
        loop.close()
    return Run(
        seed,
        fates.steps,
        loop.time(),
        dict(fates.struck),
        fates.violations,
        fates.digest(),
        fates.trace or [],
    )


class World(Listener):
    """Everything that one seed brings about."""

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self._plan = fates.plan
        self._clock = ProcessClock()
        self._ledger = Ledger(fates)
        self._dice = fates.dice("world")
        tickets = count(1)
        self._new_ticket = lambda: Ticket(f"ticket-{next(tickets)}")
        self._doubles: list[asyncio.Task[None]] = []

    async def run(self, open_store: OpenStore) -> None:
        """From the beginning until everything has been looked at."""
        async with open_store(self._clock, self._plan.pool, self._new_ticket) as store:
            self._store = store
            self._began_at = self._clock.now()
            self._build()
            looking = asyncio.create_task(self._look_on_and_on())
            gateways = [asyncio.create_task(host.keep_running()) for host in self._gateways]
            workers = [asyncio.create_task(host.keep_running()) for host in self._workers]
            ordering = [asyncio.create_task(client.run()) for client in self._clients]
            await self._storm()
            await asyncio.gather(*self._doubles)
            await self._rest(ordering)
            rested_at = self._clock.now()
            await self._stop(self._workers, workers)
            await asyncio.gather(*(client.send_again() for client in self._clients))
            await self._outlive_keys(rested_at)
            await self._stop(self._gateways, gateways)
            looking.cancel()
            await asyncio.wait([looking])
            await self._look_for_the_last_time()

    @override
    def hear(self, fact: Fact) -> None:
        self._ledger.hear(fact)
        match fact:
            case JobSubmitted(job) | JobClaimed(job):
                if self._fates.strikes(Fault.DOUBLED, self._dice, times=3):
                    double = self._double(message_of(job))
                    # Not in the context of the process that tells it: the queue does this.
                    loop = asyncio.get_running_loop()
                    self._doubles.append(loop.create_task(double, context=Context()))
            case _:
                pass

    def _build(self) -> None:
        self._witness = Witness(self._store.queue, self._clock, self._fates)
        around = Surroundings(
            self._fates, self._clock, self._store, self._witness, self, self._new_ticket
        )
        plan = self._plan
        self._engines = [
            SimulatedEngine(f"engine-{number}", self._fates)
            for number in range(1 if plan.shared_engine else plan.workers)
        ]
        self._gateways = [
            Host(
                f"gateway-{number}",
                self._fates,
                partial(GatewayPart, around),
                dies_of=Fault.GATEWAY_KILLED,
            )
            for number in range(plan.gateways)
        ]
        self._workers = [
            Host(
                f"worker-{number}",
                self._fates,
                partial(WorkerPart, around, self._engines[number % len(self._engines)]),
                dies_of=Fault.WORKER_KILLED,
            )
            for number in range(plan.workers)
        ]
        self._clients = [
            Client(
                number, self._gateways, fates=self._fates, clock=self._clock, ledger=self._ledger
            )
            for number in range(plan.clients)
        ]

    async def _double(self, message: Message) -> None:
        """The queue delivers a message once more."""
        self._witness.doubled.add(message.job_id)
        await asyncio.sleep(self._dice.choice((0.0, 0.5, self._plan.pool.lease_s)))
        self._fates.note("queue", f"doubles {message.job_id}")
        await self._store.queue.send([message])

    async def _storm(self) -> None:
        """What goes wrong by itself, not in the course of a call."""
        until = asyncio.get_running_loop().time() + STORM_S
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self._dice.choice((0.3, 1.0, 2.0)))
            if self._fates.strikes(Fault.WORKER_STOPPED, self._dice, times=3):
                self._dice.choice(self._workers).ask_to_stop()
            if self._fates.strikes(Fault.CLOCK_JUMPED, self._dice, times=5):
                self._dice.choice([*self._workers, *self._gateways]).move_clock()
            if self._fates.strikes(Fault.ENGINE_DIED, self._dice, times=3):
                self._dice.choice(self._engines).die()
            if self._fates.strikes(Fault.DISK_FULL, self._dice, times=3):
                self._fates.disk_full = True
                await asyncio.sleep(self._dice.choice((1.0, self._plan.pool.lease_s, 8.0)))
                self._fates.disk_full = False
        self._fates.calm = True
        for host in [*self._workers, *self._gateways]:
            host.thaw()
        self._fates.note("world", "is calm")

    async def _rest(self, ordering: Sequence[asyncio.Task[None]]) -> None:
        """Until every job has ended, everybody knows, and no message is left."""
        # Whatever was under way when it became calm has arrived by then.
        await asyncio.sleep(3 * self._plan.pool.lease_s)
        until = asyncio.get_running_loop().time() + REST_WITHIN_S
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_EVERY_S)
            if (
                all(task.done() for task in ordering)
                and all(job.state.terminal for job in await self._records())
                and not await self._messages()
            ):
                return
        waiting = sum(not task.done() for task in ordering)
        open_jobs = [
            f"{job.id} {job.state}" for job in await self._records() if not job.state.terminal
        ]
        self._fates.violated(
            f"not at rest: {open_jobs}, {await self._messages()} messages, {waiting} clients wait"
        )
        for task in ordering:
            task.cancel()

    async def _stop(
        self, hosts: Sequence[Host[Any]], keeping: Sequence[asyncio.Task[None]]
    ) -> None:
        for host in hosts:
            host.close()
        _, pending = await asyncio.wait(keeping, timeout=STOP_WITHIN_S)
        if pending:
            self._fates.violated(f"{len(pending)} processes do not stop")

    async def _outlive_keys(self, rested_at: float) -> None:
        """Until the last key has expired by every clock, and every reaper has looked."""
        until = rested_at + KEY_TTL_S + self._plan.skew_s + 3 * REAP_EVERY_S
        if rested_at > self._began_at + KEY_TTL_S:
            until += HELD_ON_S  # a job was still open when its key expired
        await asyncio.sleep(until - self._clock.now())

    async def _look_on_and_on(self) -> None:
        while True:
            self._ledger.looked(await self._records(), self._clock.now())
            for engine in self._engines:
                for order in engine.running:
                    self._ledger.runs(order, self._clock.now())
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_for_the_last_time(self) -> None:
        self._ledger.looked(await self._records(), self._clock.now())
        entries = [entry async for entry in self._store.audit.read(AuditQuery())]
        broke = sum((engine.broke for engine in self._engines), Counter[str]())
        self._ledger.close(entries, broke)
        self._ledger.check_keys({key for client in self._clients for key in client.keyed})
        if await self._store.jobs.forget_keys(self._clock.now() + 2 * KEY_TTL_S, limit=1):
            self._fates.violated("keys are left")
        if messages := await self._messages():
            self._fates.violated(f"{messages} messages are left")
        dead = {
            task
            for host in [*self._gateways, *self._workers]
            for process in host.processes
            for task in process.unfinished()
        }
        left = asyncio.all_tasks() - dead - {asyncio.current_task()}
        if left:
            self._fates.violated(f"{len(left)} tasks are left")

    async def _records(self) -> list[Job]:
        return await self._store.jobs.find(JobQuery(limit=10_000))

    async def _messages(self) -> int:
        depths = [await self._store.queue.depth(lane) for lane in lanes_of(POOL)]
        return sum(depth.ready + depth.leased + depth.delayed for depth in depths)
