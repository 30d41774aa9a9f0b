"""A queue in this process's memory: the model that other queues are compared with."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from operator import attrgetter

from typing_extensions import override

from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, LeaseToken, Message, Queue


@dataclass
class Held:
    """A message with the moment from which it may be received; a token while it is leased."""

    message: Message
    sent_at: float
    visible_at: float
    token: LeaseToken | None = None

    def ready(self, now: float) -> bool:
        return self.visible_at <= now


class MemoryQueue(Queue):
    """Nothing survives the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: list[Held] = []
        self._tokens = count(1)
        self._changed = asyncio.Condition()

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        self._held.extend(Held(message, now, now + delay_s) for message in messages)
        await self._wake()

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            now = self._clock.now()
            if leases := self._take(lanes, limit, lease_s, now):
                return leases
            left_s = until - loop.time()
            if left_s <= 0:
                return []
            visible_at = self._next_visible(lanes, now)
            await self._sleep(left_s if visible_at is None else min(left_s, visible_at - now))

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        now = self._clock.now()
        kept: list[Lease] = []
        for lease, held in self._still_held(leases, now):
            held.visible_at = now + lease_s
            kept.append(lease)
        return kept

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        for _, held in list(self._still_held(leases, self._clock.now())):
            self._held.remove(held)

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        for _, held in self._still_held(leases, now):
            held.visible_at = now + delay_s if delay_s > 0 else held.sent_at
            held.token = None
        await self._wake()

    @override
    async def depth(self, lane: Lane) -> Depth:
        now = self._clock.now()
        mine = [held for held in self._held if held.message.lane == lane]
        ready = [held for held in mine if held.ready(now)]
        hidden = [held for held in mine if not held.ready(now)]
        return Depth(
            ready=len(ready),
            leased=sum(held.token is not None for held in hidden),
            delayed=sum(held.token is None for held in hidden),
            oldest_age_s=now - min(held.sent_at for held in ready) if ready else None,
        )

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        now = self._clock.now()
        backlog: dict[str, Backlog] = {}
        for held in self._held:
            message = held.message
            if message.lane == lane and (held.ready(now) or held.token is None):
                waiting = backlog.get(message.team, Backlog())
                backlog[message.team] = waiting + Backlog(1, message.work_tokens)
        return backlog

    def _take(self, lanes: Sequence[Lane], limit: int, lease_s: float, now: float) -> list[Lease]:
        ready = [
            held
            for lane in lanes
            for held in sorted(self._held, key=attrgetter("visible_at"))
            if held.message.lane == lane and held.ready(now)
        ]
        leases: list[Lease] = []
        for held in ready[:limit]:
            held.token = LeaseToken(str(next(self._tokens)))
            held.visible_at = now + lease_s
            leases.append(Lease(held.message, held.token))
        return leases

    def _still_held(self, leases: Sequence[Lease], now: float) -> Iterator[tuple[Lease, Held]]:
        by_token = {held.token: held for held in self._held if held.token and not held.ready(now)}
        for lease in leases:
            if held := by_token.get(lease.token):
                yield lease, held

    def _next_visible(self, lanes: Sequence[Lane], now: float) -> float | None:
        times = [
            held.visible_at
            for held in self._held
            if held.message.lane in lanes and not held.ready(now)
        ]
        return min(times, default=None)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _sleep(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return
