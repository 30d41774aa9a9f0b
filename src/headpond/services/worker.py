"""The worker: pulls jobs at the pace of its engine and writes one result for each.

    gate      says whether the engine may be given work (`services/gate.py`)
    isolation keeps those that were in flight when the engine failed, and finds out which one did it
              (`services/isolation.py`)
    pull      claims as much as the engine has room for, and runs each claim as a task
    heartbeat renews the leases of what runs; drops what is no longer ours
    gauges    reads the engine's load, which bounds the room

Stopping, in order: no more pulls; what runs may finish within the grace; the rest is cut off at
the engine and handed back at once, uncharged; then the heartbeat ends. The heartbeat goes last so
that leases hold until their jobs are settled.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from headpond.domain.admission import room, worth_pulling
from headpond.domain.crowd import Crowd
from headpond.domain.facts import (
    ClaimLost,
    DutyFailed,
    EngineAnswered,
    EngineLoad,
    JobClaimed,
    JobSettled,
)
from headpond.domain.lane import Lane
from headpond.domain.outcome import Outcome, Settlement, settle
from headpond.domain.patience import Patience
from headpond.errors import TryLater
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.engine import Engine, Gauges
from headpond.ports.events import Listener
from headpond.ports.queue import LeaseToken
from headpond.ports.streams import TokenStreams
from headpond.services.duty import Duty
from headpond.services.gate import Gate
from headpond.services.isolation import Isolation
from headpond.services.relay import Relay
from headpond.settings import PoolSettings

PULL_WAIT_S = 1.0
"""Longest wait in one claim: a stop waits for it, because a claim that is cut off half-way would
leave its jobs leased to nobody."""

GAUGES_EVERY_S = 0.5
STORE_AGAIN_S = 0.5

LINGER_S = 0.02
"""How long little room is left unused, so that one claim can serve several places."""


class Worker:
    """One per process and engine. `chance` is the source of jitter, in [0, 1); its own if None.

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
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._delivery = delivery
        self._engine = engine
        self._relay = Relay(engine, streams, clock=clock, listener=listener)
        self._name = name
        self._lanes = lanes
        self._settings = settings
        self._clock = clock
        self._patience = Patience(clock.now())
        self._listener = listener
        self._chance = chance or random.Random().random
        self._running: dict[LeaseToken, tuple[Claim, asyncio.Task[None]]] = {}
        self._gauges = Gauges()
        self._gate = Gate(engine, settings=settings, listener=listener)
        self.gave_up = self._gate.gave_up
        self._isolation = Isolation(
            engine.name,
            gate=self._gate,
            retry=settings.retry,
            listener=listener,
            chance=self._chance,
        )
        self._crowd = Crowd(bound_s=settings.engine.timeout_s)
        self._stopping = False
        self._freed = asyncio.Event()
        self._puller: asyncio.Task[None] | None = None
        self._duties = (
            Duty("gauges", self.read_gauges, every_s=GAUGES_EVERY_S, listener=listener),
            Duty("heartbeat", self.heartbeat, every_s=settings.lease_s / 3, listener=listener),
        )

    @property
    def in_flight(self) -> int:
        """Jobs that are at the engine, or being settled."""
        return len(self._running)

    def start(self) -> None:
        """Begin; pulls once the engine is healthy."""
        if self._puller is None:
            self._gate.start()
            self._puller = asyncio.create_task(self._work(), name="pull")
            for duty in self._duties:
                duty.start()

    async def stop(self, grace_s: float) -> None:
        """Drain as the module's page says. Works twice, and before start."""
        self._stopping = True
        self._freed.set()
        if self._puller is not None:
            await self._puller
            self._puller = None
        await self._finish_within(grace_s)
        await self._hand_back()
        for duty in self._duties:
            await duty.stop()

    async def pull(self) -> int:
        """Claim what there is room for and begin to run it; returns how many jobs."""
        free = await self._room_worth_pulling()
        if not free:
            await self._pause(GAUGES_EVERY_S)
            return 0
        look = self._patience.look(self._lanes, free)
        claims = await self._delivery.claim(
            look.lanes, worker=self._name, limit=look.limit, wait_s=PULL_WAIT_S
        )
        self._patience = self._patience.after(
            look,
            [(claim.job.lane, claim.job.accepted_at) for claim in claims],
            now=self._clock.now(),
            bound_s=self._settings.batch_patience_s,
        )
        for claim in claims:
            waited_s = self._clock.now() - claim.job.accepted_at
            self._listener.hear(JobClaimed(claim.job, waited_s))
            if not claim.job.lost_leases:
                self._isolation.began(claim)
                self._start(claim, self._run)
        self._isolation.suspect([claim for claim in claims if claim.job.lost_leases])
        return len(claims)

    async def heartbeat(self) -> None:
        """Renew what runs. The work of a claim that fell is aborted: it may run elsewhere."""
        claims = [claim for claim, _ in self._running.values()] + self._isolation.waiting
        if not claims:
            return
        kept = {claim.lease.token for claim in await self._delivery.renew(claims)}
        for claim in claims:
            if claim.lease.token not in kept:
                self._drop(claim)

    def _drop(self, claim: Claim) -> None:
        running = self._running.get(claim.lease.token)
        if running is not None:
            running[1].cancel()
        elif self._isolation.dropped(claim):
            self._listener.hear(ClaimLost(claim.job.id))

    async def read_gauges(self) -> None:
        """Read the engine's load and tell it."""
        self._gauges = await self._engine.gauges()
        self._listener.hear(
            EngineLoad(
                self._engine.name,
                self._gauges.running,
                self._gauges.waiting,
                self._gauges.kv_usage,
                self.in_flight,
                self._room(),
                len(self._isolation.waiting),
            )
        )

    async def _work(self) -> None:
        while not self._stopping and not self.gave_up.is_set():
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on
                self._listener.hear(DutyFailed("pull", repr(error)))
                await self._pause(STORE_AGAIN_S)

    async def _step(self) -> None:
        """Do what may be done now: try suspects, or pull, or wait a little."""
        if not self._running:
            if self._isolation.failing:
                self._crowd.clear()
            self._write(self._isolation.judge(self._clock.now()))
        suspects_first = self._suspects_first()
        if suspects_first and self._running:
            await self._pause(GAUGES_EVERY_S)
        elif wait_s := await self._gate.wait_s():
            if self._gate.engine_is_away and self._isolation.pending:
                self._write(self._isolation.release())
            await self._pause(wait_s)
        elif not suspects_first:
            await self.pull()
        elif await self._alone_at_the_engine():
            for claim in self._isolation.next_group():
                self._start(claim, self._run)
        else:
            await self._pause(GAUGES_EVERY_S)

    def _suspects_first(self) -> bool:
        """True while nothing is pulled for the sake of suspects."""
        if not self._isolation.pending:
            return False
        now = asyncio.get_running_loop().time()
        if not self._isolation.failing and self._crowd.aside(now):
            return False
        self._crowd.holds_up(now)
        return True

    async def _alone_at_the_engine(self) -> bool:
        """False while the engine runs requests that are not ours: they could be what kills it."""
        await self.read_gauges()
        crowded = bool(self._gauges.running or self._gauges.waiting)
        return self._crowd.gives_way(asyncio.get_running_loop().time(), crowded=crowded)

    def _room(self) -> int:
        limit, held = self._settings.max_in_flight, len(self._isolation.waiting)
        if self._crowd.aside(asyncio.get_running_loop().time()):
            # They are not about to run. But no worker takes more of them than it could run.
            held = max(0, held - limit)
        return room(
            limit=limit,
            in_flight=self.in_flight + held,
            waiting=self._gauges.waiting,
            kv_usage=self._gauges.kv_usage,
            kv_usage_limit=self._settings.kv_usage_limit,
        )

    async def _room_worth_pulling(self) -> int:
        """The room; while it is little, wait a moment for more jobs to be done."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LINGER_S
        while (left_s := until - loop.time()) > 0 and not self._stopping:
            free = self._room()
            if not free or worth_pulling(
                limit=self._settings.max_in_flight, in_flight=self.in_flight, room=free
            ):
                return free
            await self._pause(left_s)
        return self._room()

    async def _pause(self, timeout_s: float) -> None:
        if self._stopping:
            return
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._freed.wait()

    def _start(self, claim: Claim, work: Callable[[Claim], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._guard(claim, work), name=claim.job.id)
        self._running[claim.lease.token] = (claim, task)

    async def _guard(self, claim: Claim, work: Callable[[Claim], Awaitable[None]]) -> None:
        try:
            await work(claim)
        except asyncio.CancelledError:
            # By the heartbeat: the claim fell. By a stop: `_hand_back` gives the job back.
            if not self._stopping:
                self._listener.hear(ClaimLost(claim.job.id))
        except Exception as error:  # noqa: BLE001 - the lease lapses, the job runs again
            self._listener.hear(DutyFailed("run", repr(error)))
        finally:
            self._running.pop(claim.lease.token, None)
            self._freed.set()

    async def _run(self, claim: Claim) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._ask(claim)
        finally:
            decided = self._isolation.ended(claim, outcome)
            for other, broke in self._isolation.charged():
                self._start(other, partial(self._conclude, outcome=broke))
        if decided is not None:
            await self._conclude(claim, decided)

    async def _conclude(self, claim: Claim, outcome: Outcome) -> None:
        settlement = settle(
            claim.job,
            outcome,
            engine=self._engine.name,
            now=self._clock.now(),
            policy=self._settings.retry,
            chance=self._chance(),
        )
        await self._settle(claim, settlement)

    def _write(self, settlements: Sequence[tuple[Claim, Settlement]]) -> None:
        for claim, settlement in settlements:
            self._start(claim, partial(self._settle, settlement=settlement))

    async def _ask(self, claim: Claim) -> Outcome:
        began = self._clock.now()
        outcome = await self._relay.ask(claim)
        self._gate.heed(outcome)
        duration_s = self._clock.now() - began
        self._listener.hear(EngineAnswered(self._engine.name, type(outcome).__name__, duration_s))
        return outcome

    async def _settle(self, claim: Claim, settlement: Settlement) -> None:
        """Write the outcome; a result that cost GPU time is kept until the store takes it."""
        while True:
            try:
                written = await self._delivery.settle(claim, settlement)
            except TryLater:
                await asyncio.sleep(STORE_AGAIN_S)
                continue
            if written:
                service_s = self._clock.now() - (claim.job.started_at or 0.0)
                self._listener.hear(JobSettled(settlement.job, service_s))
            else:
                self._listener.hear(ClaimLost(claim.job.id))
            return

    async def _finish_within(self, grace_s: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + grace_s
        while self._running and (left_s := until - loop.time()) > 0:
            await asyncio.wait([task for _, task in self._running.values()], timeout=left_s)

    async def _hand_back(self) -> None:
        cut_off = list(self._running.values())
        back = {claim.job.id: (claim, after) for claim, after in self._isolation.release()}
        for claim, task in cut_off:
            task.cancel()
            uncharged = Settlement(job=claim.job.returned(charged=False))
            back.setdefault(claim.job.id, (claim, uncharged))
        if cut_off:
            await asyncio.wait([task for _, task in cut_off])
        for claim, settlement in back.values():
            # Once: if the store is away, the lease lapses, and the job runs again all the same.
            try:
                await self._delivery.settle(claim, settlement)
            except TryLater as error:
                self._listener.hear(DutyFailed("hand back", repr(error)))
