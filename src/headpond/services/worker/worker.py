"""What a worker does next, and how it stops.

Stopping, in order: no more pulls; what is in flight may finish within the grace; the rest is cut
off at the engine and handed back at once, uncharged; what is being settled is written, or tried
once more; then the heartbeat ends. The heartbeat goes last so that leases hold until their jobs
are settled.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

from headpond.domain.facts import EngineLoad
from headpond.domain.lane import Lane
from headpond.domain.outcome import Outcome, Settlement, settle
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.engine import Engine
from headpond.ports.events import Listener
from headpond.ports.streams import TokenStreams
from headpond.services.answers import Answers
from headpond.services.complaints import Complaints
from headpond.services.duty import Duty
from headpond.services.worker.alarm import Alarm
from headpond.services.worker.gate import Gate
from headpond.services.worker.heartbeat import Heartbeat
from headpond.services.worker.in_flight import InFlight
from headpond.services.worker.isolation import Isolation
from headpond.services.worker.load import Load
from headpond.services.worker.pulling import Puller
from headpond.services.worker.recall import Recall
from headpond.services.worker.relay import Relay
from headpond.services.worker.settling import Settling
from headpond.services.worker.trials import Trials
from headpond.settings import PoolSettings

GAUGES_EVERY_S = 0.5
STORE_AGAIN_S = 0.5


class Worker:
    """One per process and engine. `chance` is the source of jitter, in [0, 1); its own if None.

    Without `answers`, every request is asked anew.

    `gave_up` is set when the engine never became healthy: nothing will be pulled any more, and
    whoever runs the worker should stop it and begin anew.
    """

    def __init__(
        self,
        delivery: Delivery,
        engine: Engine,
        *,
        streams: TokenStreams,
        name: str,
        lanes: Sequence[Lane],
        settings: PoolSettings,
        clock: Clock,
        listener: Listener,
        answers: Answers | None = None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._engine = engine.name
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._chance = chance or random.Random().random
        self._alarm = Alarm()
        self._load = Load(engine)
        self._gate = Gate(engine, settings=settings, listener=listener, chance=self._chance)
        self.gave_up = self._gate.gave_up
        self._isolation = Isolation(
            engine.name,
            model_version=settings.model_version,
            gate=self._gate,
            retry=settings.retry,
            listener=listener,
            chance=self._chance,
        )
        self._trials = Trials(self._isolation, self._load, bound_s=settings.engine.timeout_s)
        self._settling = Settling(
            delivery, clock=clock, listener=listener, settled=self._alarm.ring
        )
        self._recall = Recall(
            answers,
            engine=engine.name,
            settling=self._settling,
            clock=clock,
            listener=listener,
        )
        self._flight = InFlight(
            Relay(engine, streams, clock=clock, listener=listener),
            self._ended,
            engine=engine.name,
            clock=clock,
            listener=listener,
        )
        self._puller = Puller(
            delivery,
            name=name,
            lanes=lanes,
            settings=settings,
            gate=self._gate,
            load=self._load,
            flight=self._flight,
            recall=self._recall,
            settling=self._settling,
            trials=self._trials,
            alarm=self._alarm,
            clock=clock,
            listener=listener,
        )
        self.heartbeat = Heartbeat(
            delivery,
            flight=self._flight,
            isolation=self._isolation,
            recall=self._recall,
            settling=self._settling,
            listener=listener,
        )
        self._working: asyncio.Task[None] | None = None
        self._duties = (
            Duty("gauges", self.read_gauges, every_s=GAUGES_EVERY_S, listener=listener),
            Duty("heartbeat", self.heartbeat.tick, every_s=settings.lease_s / 3, listener=listener),
        )

    @property
    def in_flight(self) -> int:
        """Jobs that are at the engine."""
        return len(self._flight)

    def start(self) -> None:
        """Begin; pulls once the engine is healthy."""
        if self._working is None:
            self._gate.start()
            self._working = asyncio.create_task(self._work(), name="work")
            for duty in self._duties:
                duty.start()

    async def stop(self, grace_s: float) -> None:
        """Drain as the module's page says. Works twice, and before start."""
        until = asyncio.get_running_loop().time() + grace_s
        self._alarm.stop()
        if self._working is not None:
            await self._working
            self._working = None
        await self._flight.finish_until(until)
        await self._hand_back()
        await self._settling.finish_until(until)
        await self._recall.finish()
        for duty in self._duties:
            await duty.stop()

    async def pull(self) -> int:
        """Claim what there is room for and see to its answers; returns how many jobs."""
        free = await self._puller.room_worth_pulling()
        if not free:
            await self._alarm.pause(GAUGES_EVERY_S)
            return 0
        claims = await self._puller.claim(free)
        self._isolation.suspect([claim for claim in claims if claim.job.lost_leases])
        plain = [claim for claim in claims if not claim.job.lost_leases]
        for claim in await self._recall.unanswered(plain):
            self._isolation.began(claim)
            self._flight.start(claim)
        return len(claims)

    async def read_gauges(self) -> None:
        """Read the engine's load and tell it."""
        await self._load.read()
        gauges = self._load.gauges
        self._listener.hear(
            EngineLoad(
                self._engine,
                gauges.running,
                gauges.waiting,
                gauges.kv_usage,
                self.in_flight,
                self._puller.room(),
                len(self._isolation.waiting),
            )
        )

    async def _work(self) -> None:
        complaints = Complaints("pull", self._listener)
        while not self._alarm.stopping and not self.gave_up.is_set():
            try:
                await self._step()
                complaints.went_well()
            except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on
                complaints.failed(error)
                await self._alarm.pause(STORE_AGAIN_S)

    async def _step(self) -> None:
        """Do what may be done now: try suspects, or pull, or wait a little."""
        if not self._flight:
            if self._isolation.failing:
                self._trials.engine_failed()
            self._settling.write_soon(self._isolation.judge(self._clock.now()))
        suspects_first = self._trials.come_first()
        if suspects_first and self._flight:
            await self._alarm.pause(GAUGES_EVERY_S)
        elif wait_s := await self._gate.wait_s():
            if self._gate.engine_is_away and self._isolation.pending:
                self._settling.write_soon(self._isolation.release())
            await self._alarm.pause(wait_s)
        elif not suspects_first:
            await self.pull()
        elif await self._trials.may_begin():
            for claim in self._isolation.next_group():
                self._flight.start(claim)
        else:
            await self._alarm.pause(GAUGES_EVERY_S)

    async def _ended(self, claim: Claim, outcome: Outcome | None) -> None:
        """A request is at the engine no more."""
        if outcome is not None:
            self._gate.heed(outcome)
        self._recall.ended(claim, outcome)
        decided = self._isolation.ended(claim, outcome)
        self._settling.write_soon(
            [(other, self._settlement(other, broke)) for other, broke in self._isolation.charged()]
        )
        self._alarm.ring()
        if decided is not None:
            await self._settling.write(claim, self._settlement(claim, decided))

    def _settlement(self, claim: Claim, outcome: Outcome) -> Settlement:
        return settle(
            claim.job,
            outcome,
            engine=self._engine,
            model_version=self._settings.model_version,
            now=self._clock.now(),
            policy=self._settings.retry,
            chance=self._chance(),
        )

    async def _hand_back(self) -> None:
        back = self._isolation.release()
        await self._flight.cut_off()
        self._settling.write_soon(back)
