"""Lanes as subscriptions of Pub/Sub.

A lane is a topic and its one subscription, both called `PREFIX-POOL-PRIORITY`. Pub/Sub knows no
order, unless it is asked for and paid with throughput, no teams and no delays. Where it says that
something is so it adds "on a best-effort basis": it may deliver a message twice at once, and take
an acknowledgement whose time is over. So the end of each lease is kept here
(`adapters/handles/`), and the rest is the record's to judge.

A message comes with the subscription's deadline and is then given that of its lease. What is
delayed is hidden again, for as long as a lease can be (`domain/queue_limits.py`) at a time, until
it may be received. Who gives back with a longer delay gets it back after that.

Beside a lane is a topic for dead letters with a subscription of its own, both called `…-dead`:
there Pub/Sub publishes what was delivered too often, if its own service account may.

It counts only through Cloud Monitoring, which is minutes late and does not tell what is leased
(`counts.py`). It keeps a message only for a time, and only if there is a subscription: a lane's is
made before anything is sent to it.

Nothing is tried again by the SDK, for the reason that `adapters/aws/queue.py` gives.
"""

import asyncio
import logging
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, ClassVar, TypeVar

import grpc
from google.api_core import exceptions
from google.api_core.gapic_v1 import routing_header
from google.auth import exceptions as auth_exceptions
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1 import types as pubsub
from typing_extensions import override

from headpond.adapters.gcp.counts import UndeliveredCounts, open_counts
from headpond.adapters.gcp.places import Place
from headpond.adapters.handles.bodies import Body, encode_body
from headpond.adapters.handles.queue import NOTHING, Catch, Handed, HandleQueue, lane_of
from headpond.domain.lane import Lane
from headpond.domain.queue_limits import PUBSUB, Limits
from headpond.errors import SettingsError, Unavailable
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, Message, Power

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Messages of one call, in either direction; Pub/Sub takes 1,000 of them, and 512 KB of handles."""

MAX_HIDE_S = PUBSUB.lease_s
"""The longest that Pub/Sub has."""

RECEIVED_S = 20
"""How long a message is hidden when it comes, until it is told the length of its lease.

And for how long it is lost from sight if who pulled it is dead by then.
"""

SURELY_S = RECEIVED_S - 5.0
"""So long after a pull began, what it received is surely hidden still."""

KEEP_S = int(PUBSUB.keep_s)
EMULATED_KEEP_S = 7 * 86_400
"""The longest that Google's emulator of it has."""

NO_TOPIC = "_deleted-topic_"
"""Of a subscription whose topic was deleted."""

PULL_S = 8.0
ONCE: Mapping[str, Any] = {"retry": None, "timeout": 10.0}
"""For all calls: who calls comes again."""

PAUSE_S = 0.25
"""Between pulls that find nothing, if Pub/Sub does not wait."""

T = TypeVar("T")

_routing: Any = routing_header
_untyped: Any = exceptions

_FAILURES = (exceptions.GoogleAPIError, grpc.RpcError, auth_exceptions.GoogleAuthError)


@asynccontextmanager
async def open_queue(place: Place, clock: Clock) -> AsyncGenerator["PubsubQueue"]:
    """The subscriptions of a prefix. Raises SettingsError."""
    async with AsyncExitStack() as opened:
        try:
            publisher = PublisherAsyncClient()
            opened.push_async_callback(publisher.transport.close)
            subscriber = SubscriberAsyncClient()
            opened.push_async_callback(subscriber.transport.close)
            counts = await opened.enter_async_context(open_counts(place.project))
        except auth_exceptions.DefaultCredentialsError as error:
            raise SettingsError(
                f"queue: Google Cloud does not know who this is: {error}"
            ) from error
        queue = PubsubQueue(publisher, subscriber, counts, place, clock)
        opened.push_async_callback(queue.close)
        yield queue


class PubsubQueue(HandleQueue):
    """See the module's page."""

    lacks: ClassVar[Mapping[Power, str]] = {
        Power.ORDER: "an effort",
        Power.FAIR: "as they come",
        Power.TEAMS: "all together",
        Power.COUNTS: "all that is not acknowledged, minutes late",
        Power.AGE: "`oldest_unacked_message_age` in Cloud Monitoring",
        Power.CLOCK: "its own",
        Power.LOOKUP: "no",
    }
    limits: ClassVar[Limits] = PUBSUB
    unseen_s: ClassVar[float | None] = PUBSUB.keep_s / 2

    def __init__(
        self,
        publisher: Any,
        subscriber: Any,
        counts: UndeliveredCounts,
        place: Place,
        clock: Clock,
    ) -> None:
        super().__init__(clock, most=AT_ONCE, max_lease_s=math.inf, max_delay_s=PUBSUB.delay_s)
        self._publisher = publisher
        self._subscriber = subscriber
        self._counts = counts
        self._place = place
        self._made: set[Lane] = set()

    @override
    async def depth(self, lane: Lane) -> Depth:
        await self._make(lane)
        return Depth(ready=await self._counts.of(self._name(lane)), leased=0, delayed=0)

    @override
    async def _send(
        self, lane: Lane, messages: Sequence[Message], delay_s: float, not_before: float | None
    ) -> None:
        await self._make(lane)
        bodies = [
            pubsub.PubsubMessage(data=encode_body(Body(message, not_before)))
            for message in messages
        ]
        await self._call(
            lane, self._publisher.publish(topic=self._topic(lane), messages=bodies, **ONCE)
        )

    @override
    async def _poll(self, lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        await self._make(lane)
        began, loop = self._clock.now(), asyncio.get_running_loop()
        began_s = loop.time()
        received = await self._call(
            lane, self._pull(self._subscription(lane), limit, wait=wait_s > 0)
        )
        now = self._clock.now()
        if not received and wait_s > 0:
            await asyncio.sleep(max(0.0, PAUSE_S - (loop.time() - began_s)))
        if not received or now - began > SURELY_S:
            return NOTHING  # What came so late somebody else may have got since.
        await self._hide_handles(lane, [each.ack_id for each in received], lease_s)
        handed = [(each.ack_id, each.message.data) for each in received]
        return Catch(handed, now, now + lease_s)

    @override
    async def _hide(self, leases: Sequence[Lease], for_s: float) -> list[Lease]:
        for lane, some in self._calls(leases, lane_of):
            await self._hide_handles(lane, [lease.token for lease in some], for_s)
        return list(leases)

    @override
    async def _remove(self, leases: Sequence[Lease]) -> None:
        for lane, some in self._calls(leases, lane_of):
            handles = [lease.token for lease in some]
            await self._acknowledge(lane, self._subscription(lane), handles)

    @override
    async def _look_aside(self, lane: Lane) -> Sequence[Handed]:
        await self._make(lane)
        try:
            received = await self._pull(_dead(self._subscription(lane)), AT_ONCE, wait=False)
        except exceptions.NotFound:
            return []  # Whoever made the lane beforehand made nothing for its dead letters.
        except _FAILURES as error:
            raise _unavailable(error) from error
        return [(each.ack_id, each.message.data) for each in received]

    @override
    async def _remove_aside(self, lane: Lane, handles: Sequence[str]) -> None:
        await self._acknowledge(lane, _dead(self._subscription(lane)), handles)

    async def _acknowledge(self, lane: Lane, subscription: str, handles: Sequence[str]) -> None:
        await self._call(
            lane,
            self._subscriber.acknowledge(subscription=subscription, ack_ids=handles, **ONCE),
        )

    async def _pull(
        self, subscription: str, limit: int, *, wait: bool
    ) -> Sequence[pubsub.ReceivedMessage]:
        """By the bare call: the client warns of `return_immediately`.

        That is discouraged for being slow, and is the only way to ask one lane before another.
        """
        request = pubsub.PullRequest(
            subscription=subscription, max_messages=limit, return_immediately=not wait
        )
        routing = _routing.to_grpc_metadata((("subscription", subscription),))
        try:
            answer = await self._subscriber.transport.pull(
                request, timeout=PULL_S, metadata=(routing,)
            )
        except grpc.RpcError as error:
            failure: Exception = _untyped.from_grpc_error(error)
            if isinstance(failure, exceptions.DeadlineExceeded) and wait:
                return []
            raise failure from error
        return answer.received_messages

    async def _hide_handles(self, lane: Lane, handles: Sequence[str], for_s: float) -> None:
        await self._call(
            lane,
            self._subscriber.modify_ack_deadline(
                subscription=self._subscription(lane),
                ack_ids=handles,
                ack_deadline_seconds=math.ceil(min(for_s, MAX_HIDE_S)),
                **ONCE,
            ),
        )

    async def _call(self, lane: Lane, call: Awaitable[T]) -> T:
        """The answer; a lane that is not there any more is made again by the next call."""
        try:
            return await call
        except _FAILURES as error:
            if isinstance(error, exceptions.NotFound):
                self._made.discard(lane)
            raise _unavailable(error) from error

    async def _make(self, lane: Lane) -> None:
        """Topic and subscription, if they are not there."""
        if lane in self._made:
            return
        try:
            if not await self._is_there(lane):
                await self._create(lane)
        except _FAILURES as error:
            raise _unavailable(error) from error
        self._made.add(lane)

    async def _is_there(self, lane: Lane) -> bool:
        """A subscription outlives its topic and never gets another, so it is removed then.

        What waits in it is lost.
        """
        subscription = self._subscription(lane)
        with suppress(exceptions.NotFound):
            found = await self._subscriber.get_subscription(subscription=subscription, **ONCE)
            if found.topic != NO_TOPIC:
                return True
            await self._subscriber.delete_subscription(subscription=subscription, **ONCE)
        return False

    async def _create(self, lane: Lane) -> None:
        """First of all what is for the dead letters, which the lane's subscription names."""
        topic, subscription = self._topic(lane), self._subscription(lane)
        await self._create_both(_dead(topic), _dead(subscription), None)
        policy = pubsub.DeadLetterPolicy(
            dead_letter_topic=_dead(topic), max_delivery_attempts=int(PUBSUB.deliveries)
        )
        await self._create_both(topic, subscription, policy)
        log.info("Pub/Sub had no subscription %s: it is made", self._name(lane))

    async def _create_both(
        self, topic: str, name: str, policy: pubsub.DeadLetterPolicy | None
    ) -> None:
        keep_s = EMULATED_KEEP_S if "PUBSUB_EMULATOR_HOST" in os.environ else KEEP_S
        subscription = pubsub.Subscription(
            name=name,
            topic=topic,
            ack_deadline_seconds=RECEIVED_S,
            message_retention_duration={"seconds": keep_s},
            expiration_policy=pubsub.ExpirationPolicy(),
            dead_letter_policy=policy,
        )
        with suppress(exceptions.AlreadyExists):
            await self._publisher.create_topic(name=topic, **ONCE)
        with suppress(exceptions.AlreadyExists):
            await self._subscriber.create_subscription(subscription, **ONCE)

    def _name(self, lane: Lane) -> str:
        return f"{self._place.prefix}-{lane.pool}-{lane.priority}"

    def _topic(self, lane: Lane) -> str:
        return f"projects/{self._place.project}/topics/{self._name(lane)}"

    def _subscription(self, lane: Lane) -> str:
        return f"projects/{self._place.project}/subscriptions/{self._name(lane)}"


def _dead(name: str) -> str:
    """Of a topic or a subscription, what is for its dead letters."""
    return f"{name}-dead"


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable("Pub/Sub does not answer.", why=str(error), code="pubsub_unavailable")
