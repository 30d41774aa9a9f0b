"""Pulling: claims as much as the engine has room for."""

import asyncio
from collections.abc import Sequence

from headpond.domain.admission import room, worth_pulling
from headpond.domain.facts import JobClaimed
from headpond.domain.lane import Lane
from headpond.domain.patience import Patience
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.events import Listener
from headpond.services.worker.alarm import Alarm
from headpond.services.worker.gate import Gate
from headpond.services.worker.in_flight import InFlight
from headpond.services.worker.load import Load
from headpond.services.worker.recall import Recall
from headpond.services.worker.settling import Settling
from headpond.services.worker.trials import Trials
from headpond.settings import PoolSettings

WAIT_S = 1.0
"""Longest wait in one claim: a stop waits for it, because a claim that is cut off half-way would
leave its jobs leased to nobody."""

LINGER_S = 0.02
"""How long little room is left unused, so that one claim can serve several places."""


class Puller:
    """Pulls from `lanes` for the worker `name`."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        name: str,
        lanes: Sequence[Lane],
        settings: PoolSettings,
        gate: Gate,
        load: Load,
        flight: InFlight,
        recall: Recall,
        settling: Settling,
        trials: Trials,
        alarm: Alarm,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._delivery = delivery
        self._name = name
        self._lanes = lanes
        self._settings = settings
        self._gate = gate
        self._load = load
        self._flight = flight
        self._recall = recall
        self._settling = settling
        self._trials = trials
        self._alarm = alarm
        self._clock = clock
        self._listener = listener
        self._patience = Patience(clock.now())

    def room(self) -> int:
        """How many more requests the engine should get now."""
        limit, gauges = self._gate.limit, self._load.gauges
        beside = self._trials.places(limit) + self._recall.places(limit)
        return room(
            limit=limit,
            in_flight=len(self._flight) + beside,
            settling=len(self._settling),
            waiting=gauges.waiting,
            kv_usage=gauges.kv_usage,
            kv_usage_limit=self._settings.kv_usage_limit,
        )

    async def room_worth_pulling(self) -> int:
        """The room; while it is little, wait a moment for more jobs to be done."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LINGER_S
        limit = self._gate.limit
        while (left_s := until - loop.time()) > 0 and not self._alarm.stopping:
            free = self.room()
            if not free or worth_pulling(limit=limit, in_flight=len(self._flight), room=free):
                return free
            await self._alarm.pause(left_s)
        return self.room()

    async def claim(self, limit: int) -> list[Claim]:
        """Up to `limit` jobs, as soon as there are any; empty if none came for a while."""
        look = self._patience.look(self._lanes, limit)
        claims = await self._delivery.claim(
            look.lanes, worker=self._name, limit=look.limit, wait_s=WAIT_S
        )
        now = self._clock.now()
        self._patience = self._patience.after(
            look,
            [(claim.job.lane, claim.job.accepted_at) for claim in claims],
            now=now,
            bound_s=self._settings.batch_patience_s,
        )
        for claim in claims:
            self._listener.hear(JobClaimed(claim.job, now - claim.job.accepted_at))
        return claims
