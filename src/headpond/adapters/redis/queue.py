"""The queue on Redis: lanes of messages, changed by scripts that run whole.

The data model stands on top of `scripts/lane.lua`. A receiver that waits hears of a send through a
channel of its lane, and looks again after `LOOK_AGAIN_S` in any case.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache
from typing import Any, TypeVar

import msgspec
from typing_extensions import override

from headpond.adapters.redis.news import Signal
from headpond.adapters.redis.script import script
from headpond.adapters.redis.server import Argument, Call, Server
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, LeaseToken, Message, MessageLookup, Queue

T = TypeVar("T", Message, Lease)

LOOK_AGAIN_S = 2.0
"""A safety net: how long a message can stay unseen if a wake-up is lost."""

PROMOTED = 1_024
"""Most messages that one receipt makes ready; the rest comes with the next."""

KEYS = (
    *("lane", "messages", "ready", "hidden", "leases", "turns", "idle"),
    *("teams", "jobs", "tokens", "tickets"),
)
"""Of a lane, in the order in which `lane.lua` takes them."""


class Stored(msgspec.Struct, frozen=True):
    """A message as it lies in Redis."""

    job_id: JobId
    ticket: Ticket
    team: str
    work_tokens: int
    weight: float
    sent_at: float

    def message(self, lane: Lane) -> Message:
        """The message as it was sent."""
        return Message(self.job_id, self.ticket, lane, self.team, self.work_tokens, self.weight)


_decode = msgspec.json.Decoder(Stored).decode


class RedisQueue(Queue, MessageLookup):
    """Processes on any number of machines share it."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        for lane, some in _by_lane(messages).items():
            bodies = [_stored(message, now) for message in some]
            await self._run("send", lane, _hidden_until(now, delay_s), *bodies)

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        leases, _ = await self._take(lanes, limit, lease_s)
        if leases or wait_s <= 0:
            return leases
        until = asyncio.get_running_loop().time() + wait_s
        async with AsyncExitStack() as stack:
            signal = Signal()
            for lane in lanes:
                await stack.enter_async_context(self._server.hear(keys_of(lane)[0], signal))
            return await self._wait(signal, lanes, limit, lease_s, until)

    async def _wait(
        self, signal: Signal, lanes: Sequence[Lane], limit: int, lease_s: float, until: float
    ) -> list[Lease]:
        """Receive once there is something; nothing at `until`, a time of the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            seen = signal.count
            leases, ready_at = await self._take(lanes, limit, lease_s)
            left_s = until - loop.time()
            if leases or left_s <= 0:
                return leases
            ready_in_s = left_s if ready_at is None else ready_at - self._clock.now()
            await signal.wait(seen, min(left_s, ready_in_s, LOOK_AGAIN_S))

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        now = self._clock.now()
        kept: set[bytes] = set()
        for lane, some in _by_lane(leases).items():
            kept.update(await self._run("extend", lane, now, now + lease_s, *_tokens(some)))
        return [lease for lease in leases if lease.token.encode() in kept]

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        for lane, some in _by_lane(leases).items():
            await self._run("ack", lane, self._clock.now(), *_tokens(some))

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        for lane, some in _by_lane(leases).items():
            await self._run("drop", lane, self._clock.now(), *_tokens(some))

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        for lane, some in _by_lane(leases).items():
            hidden_until = _hidden_until(now, delay_s)
            await self._run("give_back", lane, now, hidden_until, *_tokens(some))

    @override
    async def depth(self, lane: Lane) -> Depth:
        now = self._clock.now()
        ready, leased, delayed, sent_at = await self._run("depth", lane, now)
        return Depth(ready, leased, delayed, now - float(sent_at) if sent_at else None)

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        waiting, lapsed = await self._run("backlog", lane, self._clock.now())
        backlog: defaultdict[str, Backlog] = defaultdict(Backlog)
        for team, jobs, tokens in waiting:
            backlog[team.decode()] += Backlog(int(jobs), int(tokens))
        for message in map(_decode, lapsed):
            backlog[message.team] += Backlog(1, message.work_tokens)
        return backlog

    @override
    async def missing(self, messages: Sequence[Message]) -> list[Message]:
        gone: set[bytes] = set()
        for lane, some in _by_lane(messages).items():
            gone.update(await self._run("missing", lane, *(message.ticket for message in some)))
        return [message for message in messages if message.ticket.encode() in gone]

    async def _take(
        self, lanes: Sequence[Lane], limit: int, lease_s: float
    ) -> tuple[list[Lease], float | None]:
        """What is ready, and when more will be without anybody doing anything."""
        now = self._clock.now()
        leases: list[Lease] = []
        ready_at: list[float] = []
        for lane in lanes:
            wanted = limit - len(leases)  # of none, what is due is still made ready
            nonce = secrets.token_hex(8)  # Numbers are a lane's own: two lanes have a first one.
            numbers, bodies, next_at = await self._run(
                "receive", lane, now, wanted, now + lease_s, nonce, PROMOTED
            )
            leases += [
                Lease(_decode(body).message(lane), LeaseToken(f"{number.decode()}.{nonce}"))
                for number, body in zip(numbers, bodies, strict=True)
            ]
            ready_at += [float(next_at)] if next_at else []
        return leases, min(ready_at, default=None)

    async def _run(self, name: str, lane: Lane, *arguments: Argument) -> Any:
        return await self._server.run(Call(script("lane", name), keys_of(lane), arguments))


@cache
def keys_of(lane: Lane) -> tuple[str, ...]:
    """The keys of a lane. The first is its channel too."""
    return tuple(f"headpond:{{{lane}}}:{key}" for key in KEYS)


def _by_lane(some: Iterable[T]) -> dict[Lane, list[T]]:
    by_lane: defaultdict[Lane, list[T]] = defaultdict(list)
    for each in some:
        message = each.message if isinstance(each, Lease) else each
        by_lane[message.lane].append(each)
    return by_lane


def _stored(message: Message, now: float) -> bytes:
    return msgspec.json.encode(
        Stored(
            message.job_id, message.ticket, message.team, message.work_tokens, message.weight, now
        )
    )


def _hidden_until(now: float, delay_s: float) -> float | str:
    return now + delay_s if delay_s > 0 else ""


def _tokens(leases: Sequence[Lease]) -> list[str]:
    return [lease.token for lease in leases]
