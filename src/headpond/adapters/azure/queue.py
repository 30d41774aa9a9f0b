"""Lanes as queues of Azure Service Bus.

A lane is a queue, `PREFIX-POOL-PRIORITY`. A message is locked for the queue's lock duration, which
whoever receives first sets to the length of the lane's leases; an extension locks it for as long
again. Service Bus refuses a lock that is lost; still the end of each lease is
kept here too (`adapters/handles/`), and the rest is the record's to judge.

What is delayed is scheduled. What is given back with a delay is scheduled anew and then completed:
between the two a crash would leave both, as the SDK has no transactions.

Its count of active messages does not tell apart what is locked. Each queue has a sub-queue of dead
letters: what was delivered too often goes there by itself, and with a reason what cannot be read.

Nothing that sends is tried again, for the reason that `adapters/aws/queue.py` gives.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import ClassVar

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.exceptions import MessagingEntityNotFoundError
from azure.servicebus.management import QueueProperties
from typing_extensions import override

from headpond.adapters.azure.links import (
    AT_ONCE,
    FAILURES,
    Received,
    ReceivingLinks,
    SendingLink,
    unavailable,
)
from headpond.adapters.azure.namespaces import Namespace, Place, open_namespace
from headpond.adapters.handles.bodies import Body, encode_body
from headpond.adapters.handles.queue import Catch, Handed, HandleQueue, lane_of
from headpond.domain.lane import Lane
from headpond.domain.queue_limits import SERVICE_BUS, Limits
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, LeaseToken, Message, Power

log = logging.getLogger(__name__)

LONGEST_LOCK = timedelta(seconds=SERVICE_BUS.lease_s)
"""The longest that Service Bus has."""

DELIVERIES = int(SERVICE_BUS.deliveries)

UNREADABLE_AFTER = 4
"""So often a message is delivered that cannot be read, and once more: others may be newer."""

REASON = "unreadable"
"""What Service Bus shows of it."""

MISSING = (MessagingEntityNotFoundError, ResourceNotFoundError)
"""What the SDK says of a queue that is not there, by AMQP and by HTTP."""

UNSEEN_S = 7 * 86_400
"""A queue that was made beforehand may end its messages, those made here do not."""

POLL_S = 5.0
"""The longest poll: a lease is reckoned from its beginning."""


@asynccontextmanager
async def open_queue(place: Place, clock: Clock) -> AsyncGenerator["ServiceBusQueue"]:
    """The queues of a prefix; a lane's is made when it is first used, if need be."""
    async with open_namespace(place) as namespace:
        queue = ServiceBusQueue(namespace, place.prefix, clock)
        try:
            yield queue
        finally:
            await queue.close()


class ServiceBusQueue(HandleQueue):
    """See the module's page."""

    lacks: ClassVar[Mapping[Power, str]] = {
        Power.ORDER: "an effort",
        Power.FAIR: "as they come",
        Power.TEAMS: "all together",
        Power.COUNTS: "what is leased counts as ready",
        Power.AGE: "it does not tell",
        Power.CLOCK: "its own",
        Power.LOOKUP: "no",
    }
    limits: ClassVar[Limits] = SERVICE_BUS
    unseen_s: ClassVar[float | None] = UNSEEN_S

    def __init__(self, namespace: Namespace, prefix: str, clock: Clock) -> None:
        super().__init__(clock, most=AT_ONCE, max_lease_s=math.inf, max_delay_s=SERVICE_BUS.delay_s)
        self._namespace = namespace
        self._prefix = prefix
        self._senders: dict[Lane, SendingLink] = {}
        self._receivers: dict[Lane, ReceivingLinks] = {}
        self._dead_letters: dict[Lane, ReceivingLinks] = {}
        self._held: dict[LeaseToken, Received] = {}
        self._aside: dict[str, Received] = {}
        self._made: dict[Lane, timedelta | None] = {}

    @override
    async def close(self) -> None:
        await super().close()
        links = [
            *self._senders.values(),
            *self._receivers.values(),
            *self._dead_letters.values(),
        ]
        await asyncio.gather(*(link.close() for link in links))

    @override
    async def depth(self, lane: Lane) -> Depth:
        await self._make(lane)
        name = self._name(lane)
        with self._looked_for(lane):
            try:
                counts = await self._namespace.administration.get_queue_runtime_properties(name)
            except FAILURES as error:
                raise unavailable(error) from error
        return Depth(
            ready=counts.active_message_count or 0,
            leased=0,
            delayed=counts.scheduled_message_count or 0,
        )

    @override
    async def _send(
        self, lane: Lane, messages: Sequence[Message], delay_s: float, not_before: float | None
    ) -> None:
        await self._make(lane)
        due = self._clock.now() + delay_s if delay_s > 0 else None
        bodies = [encode_body(Body(message, not_before)) for message in messages]
        with self._looked_for(lane):
            await self._sender(lane).send(bodies, due)

    @override
    async def _poll(self, lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        await self._make(lane, min(timedelta(seconds=math.ceil(lease_s)), LONGEST_LOCK))
        began = self._clock.now()
        with self._looked_for(lane):
            received = await self._receiver(lane).poll(limit, min(wait_s, POLL_S))
        held = {token: each for token, each in self._held.items() if token in self._leases}
        self._held = held | {LeaseToken(each.token): each for each in received}
        return Catch([(each.token, each.body) for each in received], began, began + lease_s)

    @override
    async def _extend(
        self, leases: Sequence[Lease], lease_s: float
    ) -> tuple[list[Lease], list[Lease]]:
        answers = await self._each(leases, ReceivingLinks.renew)
        told = list(zip(leases, answers, strict=True))
        renewed = [lease for lease, answer in told if answer is True]
        failed = [lease for lease, answer in told if isinstance(answer, Unavailable)]
        if not renewed:
            _raise_first(answers)
        elif failed:
            log.warning("%d of %d locks could not be renewed for now", len(failed), len(leases))
        return renewed, failed

    @override
    async def _hide(self, leases: Sequence[Lease], for_s: float) -> list[Lease]:
        if for_s <= 0:
            _raise_first(await self._each(leases, ReceivingLinks.abandon))
        else:
            due = self._clock.now() + for_s
            for lane, some in self._calls(leases, lane_of):
                bodies = [encode_body(Body(lease.message)) for lease in some]
                await self._sender(lane).send(bodies, due)
                answers = await self._each(some, ReceivingLinks.complete)
                left = [answer or "its lock was lost" for answer in answers if answer is not True]
                if left:
                    # To send them again would make it worse.
                    log.warning("%d messages of %s may come twice: %s", len(left), lane, left[0])
        return list(leases)

    @override
    async def _remove(self, leases: Sequence[Lease]) -> None:
        _raise_first(await self._each(leases, ReceivingLinks.complete))

    @override
    async def _refuse(self, lane: Lane, handles: Sequence[str]) -> None:
        refused = [self._held[LeaseToken(handle)] for handle in handles]
        for received in refused:
            if (received.message.delivery_count or 0) >= UNREADABLE_AFTER:
                with contextlib.suppress(Unavailable):  # It comes again.
                    await self._receiver(lane).bury(received, REASON)

    @override
    async def _look_aside(self, lane: Lane) -> Sequence[Handed]:
        await self._make(lane)
        with self._looked_for(lane):
            received = await self._dead(lane).poll(AT_ONCE, 0)
        self._aside = {token: each for token, each in self._aside.items() if each.locked}
        self._aside |= {each.token: each for each in received}
        return [(each.token, each.body) for each in received]

    @override
    async def _remove_aside(self, lane: Lane, handles: Sequence[str]) -> None:
        # Of one whose lock is lost somebody else sees to the same.
        for received in [self._aside.pop(handle) for handle in handles if handle in self._aside]:
            await self._dead(lane).complete(received)

    async def _each(
        self,
        leases: Sequence[Lease],
        call: Callable[[ReceivingLinks, Received], Awaitable[bool]],
    ) -> list[bool | Unavailable]:
        """Whether each lock was held, or why that is not known. All are tried, whichever fails."""

        async def held(lease: Lease) -> bool | Unavailable:
            received = self._held.get(lease.token)
            try:
                return received is not None and await call(self._receiver(lane_of(lease)), received)
            except Unavailable as error:
                return error

        return await asyncio.gather(*map(held, leases))

    async def _make(self, lane: Lane, lock: timedelta | None = None) -> None:
        """The queue, if it is not there, and its locks that long, once for each length."""
        if lane in self._made and lock in (None, self._made[lane]):
            return
        try:
            found = await self._found_or_made(lane, lock)
            if lock and (found.lock_duration, found.max_delivery_count) != (lock, DELIVERIES):
                found.lock_duration, found.max_delivery_count = lock, DELIVERIES
                await self._namespace.administration.update_queue(found)
        except FAILURES as error:
            raise unavailable(error) from error
        self._made[lane] = lock or self._made.get(lane)

    @contextmanager
    def _looked_for(self, lane: Lane) -> Generator[None]:
        """Where the queue is not there any more, the next call makes it again."""
        try:
            yield
        except Unavailable as error:
            if isinstance(error.__cause__, MISSING):
                self._made.pop(lane, None)
            raise

    async def _found_or_made(self, lane: Lane, lock: timedelta | None) -> QueueProperties:
        """Who only sends makes the longest locks, as others may receive without a look at them."""
        name, administration = self._name(lane), self._namespace.administration
        with contextlib.suppress(ResourceNotFoundError):
            return await administration.get_queue(name)
        with contextlib.suppress(ResourceExistsError):
            made = await administration.create_queue(
                name, lock_duration=lock or LONGEST_LOCK, max_delivery_count=DELIVERIES
            )
            log.info("Service Bus had no queue %s: it is made", name)
            return made
        return await administration.get_queue(name)

    def _sender(self, lane: Lane) -> SendingLink:
        if lane not in self._senders:
            self._senders[lane] = SendingLink(self._namespace.messages, self._name(lane))
        return self._senders[lane]

    def _receiver(self, lane: Lane) -> ReceivingLinks:
        if lane not in self._receivers:
            self._receivers[lane] = ReceivingLinks(self._namespace.messages, self._name(lane))
        return self._receivers[lane]

    def _dead(self, lane: Lane) -> ReceivingLinks:
        if lane not in self._dead_letters:
            self._dead_letters[lane] = ReceivingLinks(
                self._namespace.messages, self._name(lane), ServiceBusSubQueue.DEAD_LETTER
            )
        return self._dead_letters[lane]

    def _name(self, lane: Lane) -> str:
        return f"{self._prefix}-{lane.pool}-{lane.priority}"


def _raise_first(answers: Sequence[bool | Unavailable]) -> None:
    for answer in answers:
        if isinstance(answer, Unavailable):
            raise answer
