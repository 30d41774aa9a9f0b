"""The worker: pulls jobs at the pace of its engine and writes one result for each.

    gate      says whether the engine may be given work (`services/gate.py`)
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
from collections.abc import Callable, Sequence

from headpond.domain.admission import room, worth_pulling
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
from headpond.errors import TryLater
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.engine import Engine, Gauges
from headpond.ports.events import Listener
from headpond.ports.queue import LeaseToken
from headpond.services.duty import Duty
from headpond.services.gate import Gate
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
        name: str,
        lanes: Sequence[Lane],
        settings: PoolSettings,
        clock: Clock,
        listener: Listener,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._delivery = delivery
        self._engine = engine
        self._name = name
        self._lanes = lanes
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._chance = chance or random.Random().random
        self._running: dict[LeaseToken, tuple[Claim, asyncio.Task[None]]] = {}
        self._gauges = Gauges()
        self._gate = Gate(engine, settings=settings, listener=listener)
        self.gave_up = self._gate.gave_up
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
        claims = await self._delivery.claim(
            self._lanes, worker=self._name, limit=free, wait_s=PULL_WAIT_S
        )
        for claim in claims:
            task = asyncio.create_task(self._run(claim), name=claim.job.id)
            self._running[claim.lease.token] = (claim, task)
            waited_s = self._clock.now() - claim.job.accepted_at
            self._listener.hear(JobClaimed(claim.job, waited_s))
        return len(claims)

    async def heartbeat(self) -> None:
        """Renew what runs. The work of a claim that fell is aborted: it may run elsewhere."""
        claims = [claim for claim, _ in self._running.values()]
        if not claims:
            return
        kept = {claim.lease.token for claim in await self._delivery.renew(claims)}
        for claim in claims:
            fallen = self._running.get(claim.lease.token)
            if claim.lease.token not in kept and fallen is not None:
                fallen[1].cancel()

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
            )
        )

    async def _work(self) -> None:
        while not self._stopping and not self.gave_up.is_set():
            try:
                if wait_s := await self._gate.wait_s():
                    await self._pause(wait_s)
                else:
                    await self.pull()
            except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on
                self._listener.hear(DutyFailed("pull", repr(error)))
                await self._pause(STORE_AGAIN_S)

    def _room(self) -> int:
        return room(
            limit=self._settings.max_in_flight,
            in_flight=self.in_flight,
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

    async def _run(self, claim: Claim) -> None:
        job = claim.job
        began = self._clock.now()
        try:
            outcome = await self._ask(claim)
            settlement = settle(
                job,
                outcome,
                engine=self._engine.name,
                now=self._clock.now(),
                policy=self._settings.retry,
                chance=self._chance(),
            )
            await self._settle(claim, settlement, began)
        except asyncio.CancelledError:
            # By the heartbeat: the claim fell. By a stop: `_hand_back` gives the job back.
            if not self._stopping:
                self._listener.hear(ClaimLost(job.id))
        except Exception as error:  # noqa: BLE001 - the lease lapses, the job runs again
            self._listener.hear(DutyFailed("run", repr(error)))
        finally:
            self._running.pop(claim.lease.token, None)
            self._freed.set()

    async def _ask(self, claim: Claim) -> Outcome:
        began = self._clock.now()
        outcome = await self._engine.complete(claim.job.model, claim.request)
        self._gate.heed(outcome)
        duration_s = self._clock.now() - began
        self._listener.hear(EngineAnswered(self._engine.name, type(outcome).__name__, duration_s))
        return outcome

    async def _settle(self, claim: Claim, settlement: Settlement, began: float) -> None:
        """Write the outcome; a result that cost GPU time is kept until the store takes it."""
        while True:
            try:
                written = await self._delivery.settle(claim, settlement)
            except TryLater:
                await asyncio.sleep(STORE_AGAIN_S)
                continue
            if written:
                service_s = self._clock.now() - began
                self._listener.hear(JobSettled(settlement.job, service_s))
            else:
                self._listener.hear(ClaimLost(claim.job.id))
            return

    async def _finish_within(self, grace_s: float) -> None:
        tasks = [task for _, task in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)

    async def _hand_back(self) -> None:
        left = list(self._running.values())
        for _, task in left:
            task.cancel()
        for claim, task in left:
            await asyncio.wait([task])
            settlement = Settlement(job=claim.job.returned(charged=False))
            # Once: if the store is away, the lease lapses, and the job runs again all the same.
            try:
                await self._delivery.settle(claim, settlement)
            except TryLater as error:
                self._listener.hear(DutyFailed("hand back", repr(error)))
