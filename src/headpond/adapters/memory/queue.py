"""A queue in this process's memory: the model that other queues are compared with."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from operator import attrgetter

from typing_extensions import override

from headpond.adapters.memory.shares import Shares
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, LeaseToken, Message, MessageLookup, Queue

LEAST_SLEEP_S = 0.001
"""What is due may lie in a lane that is not asked for."""


@dataclass
class Held:
    """A message. Until when it is hidden, None when it is ready; a token while it is leased."""

    number: int
    message: Message
    sent_at: float
    hidden_until: float | None = None
    token: LeaseToken | None = None

    def due(self, now: float) -> bool:
        """Ready, or will be as soon as somebody looks."""
        return self.hidden_until is None or self.hidden_until <= now


class MemoryQueue(Queue, MessageLookup):
    """Nothing survives the process. `sent` counts all that was ever sent to each lane."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[int, Held] = {}
        self._hidden: dict[int, Held] = {}
        self._leased: dict[LeaseToken, Held] = {}
        self._due_from = math.inf
        """None of the hidden is due before."""
        self._shares: defaultdict[Lane, Shares] = defaultdict(Shares)
        self._numbers = count(1)
        self._tokens = count(1)
        self._changed = asyncio.Condition()
        self.sent: defaultdict[Lane, Backlog] = defaultdict(Backlog)

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        for message in messages:
            held = Held(next(self._numbers), message, now)
            self.sent[message.lane] += Backlog(1, message.work_tokens)
            self._held[held.number] = held
            self._put(held, now, delay_s)
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
            await self._sleep(min(left_s, max(self._due_from - now, LEAST_SLEEP_S)))

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        now = self._clock.now()
        kept: list[Lease] = []
        for lease, held in self._still_held(leases, now):
            self._hide(held, now + lease_s)
            kept.append(lease)
        return kept

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        for _, held in self._still_held(leases, self._clock.now()):
            self._remove(held)

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        for _, held in self._still_held(leases, self._clock.now()):
            self._shares[held.message.lane].refund(held.message)
            self._remove(held)

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        for _, held in self._still_held(leases, now):
            self._shares[held.message.lane].refund(held.message)
            self._put(held, now, delay_s)
        await self._wake()

    @override
    async def depth(self, lane: Lane) -> Depth:
        now = self._clock.now()
        mine = [held for held in self._held.values() if held.message.lane == lane]
        ready = [held for held in mine if held.due(now)]
        hidden = [held for held in mine if not held.due(now)]
        return Depth(
            ready=len(ready),
            leased=sum(held.token is not None for held in hidden),
            delayed=sum(held.token is None for held in hidden),
            oldest_age_s=now - ready[0].sent_at if ready else None,
        )

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        now = self._clock.now()
        backlog: dict[str, Backlog] = {}
        for held in self._held.values():
            message = held.message
            if message.lane == lane and (held.due(now) or held.token is None):
                waiting = backlog.get(message.team, Backlog())
                backlog[message.team] = waiting + Backlog(1, message.work_tokens)
        return backlog

    @override
    async def missing(self, messages: Sequence[Message]) -> list[Message]:
        present = {held.message.ticket for held in self._held.values()}
        return [message for message in messages if message.ticket not in present]

    def _put(self, held: Held, now: float, delay_s: float) -> None:
        """Ready, or hidden and in nobody's hands."""
        self._free(held)
        if delay_s > 0:
            self._hide(held, now + delay_s)
            return
        held.hidden_until = None
        self._hidden.pop(held.number, None)
        self._shares[held.message.lane].put(held.number, held.message)

    def _hide(self, held: Held, until: float) -> None:
        held.hidden_until = until
        self._hidden[held.number] = held
        self._due_from = min(self._due_from, until)

    def _free(self, held: Held) -> None:
        if held.token is not None:
            del self._leased[held.token]
            held.token = None

    def _remove(self, held: Held) -> None:
        self._free(held)
        del self._held[held.number], self._hidden[held.number]

    def _take(self, lanes: Sequence[Lane], limit: int, lease_s: float, now: float) -> list[Lease]:
        taken: list[int] = []
        if now >= self._due_from:
            self._promote(lanes, now)
        for lane in lanes:
            taken += self._shares[lane].take(limit - len(taken))
        return [self._lease(self._held[number], now + lease_s) for number in taken]

    def _promote(self, lanes: Sequence[Lane], now: float) -> None:
        hidden = [held for held in self._hidden.values() if held.message.lane in lanes]
        due = [held for held in hidden if held.due(now)]
        for held in sorted(due, key=attrgetter("number")):
            self._put(held, now, 0.0)
        self._due_from = min(
            (held.hidden_until or 0.0 for held in self._hidden.values()), default=math.inf
        )

    def _lease(self, held: Held, until: float) -> Lease:
        held.token = LeaseToken(str(next(self._tokens)))
        self._leased[held.token] = held
        self._hide(held, until)
        return Lease(held.message, held.token)

    def _still_held(self, leases: Sequence[Lease], now: float) -> Iterator[tuple[Lease, Held]]:
        for lease in leases:
            held = self._leased.get(lease.token)
            if held is not None and not held.due(now):
                yield lease, held

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _sleep(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return
