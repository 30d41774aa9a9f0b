"""Lanes as queues of a cloud.

The cloud keeps the messages, hands them out under handles and hides them for a time. What it does
not do is done here: the ends of leases (`leases.py`), delays that are too long for it, and work, of
which it knows nothing. A message that came to nothing too often it sets aside, in a queue of dead
letters beside the lane; what cannot be read ends there.

A poll that nobody waits for any more goes on, be it short or long, for to cut it off could leave a
message leased to nobody. It is taken up again by the next who waits for that lane, or gives back
what it catches. So does who is cut off with what was received by then.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from typing_extensions import override

from headpond.adapters.handles.bodies import Body, decode_body
from headpond.adapters.handles.leases import Leases
from headpond.domain.lane import Lane
from headpond.domain.once import Once
from headpond.domain.quote import ANYBODY, Backlog
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.queue import DeadLetterQueue, Lease, LeaseToken, Message, Queue

log = logging.getLogger(__name__)

CLOSE_S = 1.5

LOOKS = 10
"""At a lane, as long as some of what comes has come too early."""

TYPICAL_TOKENS = 500.0
"""Work of a message, as long as none was seen here."""

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding raises: also where a string is no UTF-8, and where it is nested without end."""

TOLD = 1_000
"""Of so many messages that cannot be read it is remembered that the log has them."""

Handed = tuple[str, bytes | str]
"""A handle, and the body that came with it."""


@dataclass(frozen=True, slots=True)
class Catch:
    """What a poll brought, leased from one moment to the other, in Unix seconds."""

    handed: Sequence[Handed]
    began: float
    until: float


NOTHING = Catch((), 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The leases of a poll; `early` where more had come, of which it was not yet the time."""

    leases: list[Lease]
    early: bool


Poll = asyncio.Task[Receipt]
T = TypeVar("T")


class HandleQueue(Queue, DeadLetterQueue):
    """See the module's page. Leases hold in the process that received them.

    `most` messages go in one call, in either direction. No lease is longer than `max_lease_s`. When
    messages are sent they can be delayed by `max_delay_s`; what is delayed for longer says until
    when, and is hidden again until then.
    """

    def __init__(self, clock: Clock, *, most: int, max_lease_s: float, max_delay_s: float) -> None:
        self._clock = clock
        self._most = most
        self._max_delay_s = max_delay_s
        self._leases = Leases(clock, max_s=max_lease_s)
        self._typical_tokens = TYPICAL_TOKENS
        self._told = Once(TOLD)
        self._strays: dict[Poll, tuple[Lane, float]] = {}
        self._returns: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let polls that nobody waits for give back what they catch, for a moment."""
        if self._returns:
            await asyncio.wait(self._returns, timeout=CLOSE_S)
        for task in (*self._strays, *self._returns):
            task.cancel()

    @abstractmethod
    async def _send(
        self, lane: Lane, messages: Sequence[Message], delay_s: float, not_before: float | None
    ) -> None:
        """Send messages of one lane in one call."""

    @abstractmethod
    async def _poll(self, lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        """Lease up to `limit` messages of a lane; with none, wait for about `wait_s` seconds."""

    @abstractmethod
    async def _hide(self, leases: Sequence[Lease], for_s: float) -> list[Lease]:
        """Hide messages for so long; those that were hidden."""

    async def _extend(
        self, leases: Sequence[Lease], lease_s: float
    ) -> tuple[list[Lease], list[Lease]]:
        """Hold leases for so long; those that were held, and those that hold as long as before.

        Where messages are hidden, hide them.
        """
        return await self._hide(leases, lease_s), []

    @abstractmethod
    async def _remove(self, leases: Sequence[Lease]) -> None:
        """The messages come no more."""

    async def _refuse(self, lane: Lane, handles: Sequence[str]) -> None:
        """What cannot be read comes again when its lease lapses, until it is set aside.

        Where that can be done with a reason, do it. Nothing has come by another poll meanwhile.
        """

    @abstractmethod
    async def _look_aside(self, lane: Lane) -> Sequence[Handed]:
        """Some of what was set aside beside a lane, hidden for a while; nothing if nothing is."""

    @abstractmethod
    async def _remove_aside(self, lane: Lane, handles: Sequence[str]) -> None:
        """They lie aside no more."""

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        not_before = self._clock.now() + delay_s if delay_s > self._max_delay_s else None
        for message in messages:
            self._note_work(message)
        calls = self._calls(messages, lambda message: message.lane)
        await asyncio.gather(*(self._send(lane, some, delay_s, not_before) for lane, some in calls))

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        leases: list[Lease] = []
        try:
            await self._receive_into(leases, lanes, limit, lease_s)
        except BaseException:
            self._return(leases)
            raise
        if leases or wait_s <= 0:
            return leases
        return await self._wait(lanes, limit=limit, lease_s=lease_s, wait_s=wait_s)

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        # Held when asked and held still when answered: the cloud may have taken it in between.
        until = self._clock.now() + lease_s
        taken, left = await self._extend(self._leases.held(leases), lease_s)
        for lease in self._leases.held(taken):
            self._leases.prolong(lease, until)
        return self._leases.held([*taken, *left])

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        held = self._leases.held(leases)
        await self._remove(held)
        self._leases.forget(held)

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        await self.ack(leases)

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        held = self._leases.held(leases)
        await self._hide(held, delay_s)
        self._leases.forget(held)

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        depth = await self.depth(lane)
        jobs = depth.ready + depth.delayed
        return {ANYBODY: Backlog(jobs, jobs * self._typical_tokens)} if jobs else {}

    @override
    async def undelivered(self, lane: Lane) -> AsyncGenerator[Sequence[Lease]]:
        while handed := await self._look_aside(lane):
            bodies = [(LeaseToken(handle), self._read(lane, text)) for handle, text in handed]
            yield [Lease(body.message, token) for token, body in bodies if body is not None]

    @override
    async def discard(self, lane: Lane, leases: Sequence[Lease]) -> None:
        if leases:
            await self._remove_aside(lane, [lease.token for lease in leases])

    def _read(self, lane: Lane, text: bytes | str) -> Body | None:
        """None if it cannot be read: it may be for a newer release."""
        try:
            return decode_body(text)
        except UNREADABLE:
            if self._told.is_new(text):
                log.exception("a message in %s cannot be read: %s", lane, text[:200])
            return None

    async def _received(self, lane: Lane, limit: int, lease_s: float, wait_s: float) -> Receipt:
        """Poll; what comes too early is hidden again."""
        catch = await self._poll(lane, limit, lease_s, wait_s)
        self._leases.forget_lapsed()
        leases: list[Lease] = []
        early: list[tuple[Lease, float]] = []
        unreadable: list[str] = []
        for handle, text in catch.handed:
            body = self._read(lane, text)
            if body is None:
                unreadable.append(handle)
                continue
            lease = Lease(body.message, LeaseToken(handle))
            self._leases.begin(lease, catch.began, catch.until)
            if body.not_before is None or body.not_before <= self._clock.now():
                self._note_work(body.message)
                leases.append(lease)
            else:
                early.append((lease, body.not_before - self._clock.now()))
        await self._refuse(lane, unreadable)
        for lease, left_s in early:
            await self._try_to_give_back([lease], left_s)
        return Receipt(leases, bool(early))

    async def _try_to_give_back(self, leases: Sequence[Lease], delay_s: float = 0.0) -> None:
        """Not worth the loss of others: these are given back when their leases lapse."""
        try:
            await self.give_back(leases, delay_s=delay_s)
        except Unavailable as error:
            log.warning("a message may wait for its lease to lapse: %s", error)

    async def _receive_into(
        self, leases: list[Lease], lanes: Sequence[Lane], limit: int, lease_s: float
    ) -> None:
        """Add what the lanes have now, one after the other, up to `limit`."""
        for lane in lanes:
            looks = 0
            while len(leases) < limit:
                asked = min(self._most, limit - len(leases))
                try:
                    receipt = await self._receive_now(lane, asked, lease_s)
                except Unavailable as error:
                    if not leases:
                        raise
                    log.warning("%s cannot be received from: %s", lane, error)
                    return
                leases += receipt.leases
                # Behind what came early there may be more; not for long, for leases are in hand.
                looks += 1
                goes_on = receipt.early and looks < LOOKS
                if len(receipt.leases) < asked and not goes_on:
                    break

    async def _receive_now(self, lane: Lane, limit: int, lease_s: float) -> Receipt:
        poll = asyncio.create_task(self._received(lane, limit, lease_s, 0))
        try:
            await asyncio.wait([poll])
        except asyncio.CancelledError:
            self._let_go(poll, lane, lease_s)
            raise
        return poll.result()

    async def _wait(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float
    ) -> list[Lease]:
        """Poll all lanes at once until one has something."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        polls: dict[Lane, Poll] = {}
        try:
            while (left_s := until - loop.time()) > 0:
                for lane in lanes:
                    if lane not in polls:
                        polls[lane] = self._taken_up(lane, lease_s) or asyncio.create_task(
                            self._received(lane, min(self._most, limit), lease_s, left_s)
                        )
                await asyncio.wait(
                    polls.values(), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                done = [lane for lane in lanes if polls[lane].done()]
                leases = [lease for lane in done for lease in polls[lane].result().leases]
                for lane in done:
                    del polls[lane]
                if leases:
                    try:
                        await self._try_to_give_back(leases[limit:])
                    except BaseException:
                        self._return(leases)
                        raise
                    return leases[:limit]
        finally:
            for lane, poll in polls.items():
                if not _failed(poll):
                    self._let_go(poll, lane, lease_s)
        return []

    def _taken_up(self, lane: Lane, lease_s: float) -> Poll | None:
        """A poll of this lane that nobody waits for. It may have asked for more than is wanted."""
        for poll, what in self._strays.items():
            if what == (lane, lease_s) and not poll.done():
                del self._strays[poll]
                return poll
        return None

    def _let_go(self, poll: Poll, lane: Lane, lease_s: float) -> None:
        async def caught() -> Sequence[Lease]:
            await asyncio.wait([poll])
            return () if self._strays.pop(poll, None) is None else poll.result().leases

        self._strays[poll] = (lane, lease_s)
        self._give_back_later(caught)

    def _return(self, leases: Sequence[Lease]) -> None:
        async def received() -> Sequence[Lease]:
            return leases

        if leases:
            self._give_back_later(received)

    def _give_back_later(self, found: Callable[[], Awaitable[Sequence[Lease]]]) -> None:
        async def give_back() -> None:
            try:
                await self.give_back(await found())
            except Unavailable as error:
                log.warning("a message may wait for its lease to lapse: %s", error)
            except Exception:
                log.exception("a message may wait for its lease to lapse")

        returning = asyncio.create_task(give_back())
        self._returns.add(returning)
        returning.add_done_callback(self._returns.discard)

    def _calls(
        self, things: Sequence[T], lane_of: Callable[[T], Lane]
    ) -> list[tuple[Lane, list[T]]]:
        """By lane, as many as one call takes."""
        lanes: dict[Lane, list[T]] = {}
        for thing in things:
            lanes.setdefault(lane_of(thing), []).append(thing)
        return [
            (lane, of_lane[begin : begin + self._most])
            for lane, of_lane in lanes.items()
            for begin in range(0, len(of_lane), self._most)
        ]

    def _note_work(self, message: Message) -> None:
        self._typical_tokens += (message.work_tokens - self._typical_tokens) / 64


def _failed(poll: Poll) -> bool:
    """What it failed with is raised to whoever waited."""
    return poll.done() and not poll.cancelled() and poll.exception() is not None


def lane_of(lease: Lease) -> Lane:
    """The lane that a lease's message is of."""
    return lease.message.lane
