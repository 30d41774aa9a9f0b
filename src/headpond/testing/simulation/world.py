"""One world: gateways, workers, engines and clients on one store, until everything is at rest.

First faults strike. Then it is calm: nothing new goes wrong, whatever was stopped goes on, and
every job must come to its end within a bound of time. Then the parts are asked to stop, one kind
after the other, and what they leave behind is counted.
"""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from itertools import count
from typing import Any

import msgspec
from typing_extensions import override

from headpond.adapters.memory.objects import MemoryObjects
from headpond.domain.facts import Fact, JobClaimed, JobSubmitted
from headpond.domain.job import Ticket
from headpond.domain.lane import lanes_of
from headpond.ports.events import Listener
from headpond.ports.queue import Message, message_of
from headpond.testing.simulation.batch_ledger import BatchLedger
from headpond.testing.simulation.connection import Surroundings
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.hosts import Host
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.onlooker import LOOK_EVERY_S, Onlooker
from headpond.testing.simulation.parts import KEY_TTL_S, POOL, REAP_EVERY_S, TIDY_EVERY_S
from headpond.testing.simulation.plan import Fault, draw
from headpond.testing.simulation.population import Population, populate
from headpond.testing.simulation.processes import ProcessClock, ProcessLoop, bury
from headpond.testing.simulation.stores import OpenStore
from headpond.testing.simulation.web import Web
from headpond.testing.simulation.witness import Witness

STORM_S = 30.0
REST_WITHIN_S = 400.0
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
        fates.end()
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
            self._witness = Witness(store.queue, self._clock, self._fates)
            around = Surroundings(
                fates=self._fates,
                clock=self._clock,
                store=store,
                objects=MemoryObjects(),
                witness=self._witness,
                web=Web(self._fates, store),
                listener=self,
                new_ticket=self._new_ticket,
            )
            batch_ledger = BatchLedger(self._fates)
            self._onlooker = Onlooker(around, self._ledger, batch_ledger)
            await self._live(populate(around, self._ledger, batch_ledger))

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

    async def _live(self, everybody: Population) -> None:
        for subscriber in everybody.subscribers:
            await subscriber.set_up(self._store, self._clock)
        looking = asyncio.create_task(self._onlooker.look_on_and_on(everybody.engines))
        gateways = [asyncio.create_task(host.keep_running()) for host in everybody.gateways]
        workers = [asyncio.create_task(host.keep_running()) for host in everybody.workers]
        asking = [asyncio.create_task(asker.run()) for asker in everybody.askers]
        await self._storm(everybody)
        await asyncio.gather(*self._doubles)
        await self._rest(asking)
        rested_at = self._clock.now()
        await self._stop(everybody.workers, workers)
        await asyncio.gather(*(client.send_again() for client in everybody.clients))
        await self._outlive(rested_at)
        await self._stop(everybody.gateways, gateways)
        looking.cancel()
        await asyncio.wait([looking])
        await self._onlooker.look_for_the_last_time(everybody)

    async def _double(self, message: Message) -> None:
        """The queue delivers a message once more."""
        self._witness.doubled.add(message.job_id)
        await asyncio.sleep(self._dice.choice((0.0, 0.5, self._plan.pool.lease_s)))
        self._fates.note("queue", f"doubles {message.job_id}")
        await self._store.queue.send([message])

    async def _may_lose(self) -> bool:
        """Whether the queue is one that loses messages, and has some."""
        queue, lossy = self._store.queue, self._plan.lossy and self._store.lookup is not None
        return lossy and any([(await queue.depth(lane)).ready for lane in lanes_of(POOL)])

    async def _lose(self) -> None:
        """The queue loses a message that it had taken."""
        lost = await self._store.queue.receive(lanes_of(POOL), limit=1, lease_s=1.0)
        await self._store.queue.ack(lost)
        self._fates.note("queue", f"loses {[lease.message.job_id for lease in lost]}")

    async def _storm(self, everybody: Population) -> None:
        """What goes wrong by itself, not in the course of a call."""
        until = asyncio.get_running_loop().time() + STORM_S
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self._dice.choice((0.3, 1.0, 2.0)))
            if self._fates.strikes(Fault.WORKER_STOPPED, self._dice, times=3):
                self._dice.choice(everybody.workers).ask_to_stop()
            if self._fates.strikes(Fault.CLOCK_JUMPED, self._dice, times=5):
                self._dice.choice(everybody.hosts).move_clock()
            if self._fates.strikes(Fault.ENGINE_DIED, self._dice, times=3):
                self._dice.choice(everybody.engines).die()
            if await self._may_lose() and self._fates.strikes(Fault.MESSAGE_LOST, self._dice, 9):
                await self._lose()
            if self._fates.strikes(Fault.DISK_FULL, self._dice, times=3):
                self._fates.disk_full = True
                await asyncio.sleep(self._dice.choice((1.0, self._plan.pool.lease_s, 8.0)))
                self._fates.disk_full = False
        self._fates.calm = True
        for host in everybody.hosts:
            host.thaw()
        self._fates.note("world", "is calm")

    async def _rest(self, asking: Sequence[asyncio.Task[None]]) -> None:
        """Until everything has ended, everybody knows, and nothing is left to be told."""
        # Whatever was under way when it became calm has arrived by then.
        await asyncio.sleep(3 * self._plan.pool.lease_s)
        until = asyncio.get_running_loop().time() + REST_WITHIN_S
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_EVERY_S)
            if all(task.done() for task in asking) and not await self._onlooker.unrest():
                self._onlooker.rests()
                for task in asking:
                    task.result()
                return
        waiting = sum(not task.done() for task in asking)
        self._fates.violated(f"not at rest: {await self._onlooker.unrest()}, {waiting} who wait")
        for task in asking:
            task.cancel()

    async def _stop(
        self, hosts: Sequence[Host[Any]], keeping: Sequence[asyncio.Task[None]]
    ) -> None:
        for host in hosts:
            host.close()
        _, pending = await asyncio.wait(keeping, timeout=STOP_WITHIN_S)
        if pending:
            self._fates.violated(f"{len(pending)} processes do not stop")

    async def _outlive(self, rested_at: float) -> None:
        """Until what has its time is over by every clock, and everybody has looked for it."""
        plan = self._plan
        kept_s = max(KEY_TTL_S + 3 * REAP_EVERY_S, (plan.keep_s or 0.0) + 2 * TIDY_EVERY_S)
        await asyncio.sleep(rested_at + kept_s + plan.skew_s - self._clock.now())
