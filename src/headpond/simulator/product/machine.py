"""A machine: a cold start, then the product's worker with its engine."""

import asyncio
from collections.abc import Callable

from headpond.domain.lane import lanes_of
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.services.broadcast import Broadcast
from headpond.services.duty import Duty
from headpond.services.reporting import EVERY_S, Reporter
from headpond.services.worker import Worker
from headpond.settings import PoolSettings
from headpond.simulator.engine.core import Engine as EngineModel
from headpond.simulator.product.engine import ModelledEngine

POOL = "default"
DRAIN_S = 25.0


class Surroundings:
    """What every machine finds; the loop's time begins at `epoch`, in Unix seconds."""

    def __init__(
        self,
        *,
        delivery: Delivery,
        streams: TokenStreams,
        roster: Roster,
        settings: PoolSettings,
        model: EngineModel,
        clock: Clock,
        listener: Listener,
        chance: Callable[[], float],
        epoch: float,
    ) -> None:
        self.epoch = epoch
        self.delivery = delivery
        self.streams = streams
        self.roster = roster
        self.settings = settings
        self.model = model
        self.clock = clock
        self.listener = listener
        self.chance = chance


class Machine:
    """One machine, from the moment at which it was asked for. Times are the loop's."""

    def __init__(
        self, name: str, cold_start_s: float, around: Surroundings, *, spot: bool = False
    ) -> None:
        self.name = name
        self.spot = spot
        self.asked_at = asyncio.get_running_loop().time()
        self.ready_at: float | None = None
        self.gone_at: float | None = None
        self._around = around
        self._engine = ModelledEngine(name, around.model)
        self._reporter = Reporter(around.roster, around.clock, worker=name, pool=POOL)
        listener = Broadcast((around.listener, self._reporter))
        self._worker = Worker(
            around.delivery,
            self._engine,
            streams=around.streams,
            name=name,
            lanes=lanes_of(POOL),
            settings=around.settings,
            clock=around.clock,
            listener=listener,
            chance=around.chance,
        )
        self._duty = Duty("report", self._reporter.tick, every_s=EVERY_S, listener=listener)
        self._starting = asyncio.create_task(self._start(cold_start_s), name=f"start {name}")

    @property
    def busy_s(self) -> float:
        """Seconds in which its engine had work."""
        return self._engine.busy_s

    def paid_s(self, until: float) -> float:
        """Seconds that it was there, until a moment of the loop's time."""
        return (until if self.gone_at is None else self.gone_at) - self.asked_at

    @property
    def in_flight(self) -> int:
        """Jobs in its hands."""
        return self._worker.in_flight

    async def stop(self) -> None:
        """Drain as a worker does at SIGTERM, then go."""
        await self._leave(DRAIN_S)

    async def take_away(self) -> None:
        """The cloud's notice has run out: what runs is lost, and comes back through its lease."""
        self._engine.die()
        await self._leave(0.0)

    async def _start(self, cold_start_s: float) -> None:
        await asyncio.sleep(cold_start_s)
        self.ready_at = asyncio.get_running_loop().time()
        self._duty.start()
        self._worker.start()

    async def _leave(self, grace_s: float) -> None:
        self._starting.cancel()
        await self._worker.stop(grace_s)
        await self._duty.stop()
        self.gone_at = asyncio.get_running_loop().time()
