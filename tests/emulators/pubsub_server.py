"""Pub/Sub in this process, on a clock that tests can move; and what Cloud Monitoring counts of it.

Follows the reference of `google.pubsub.v1`: a topic passes a message to the subscriptions that it
has by then; who pulls gets it under a handle and a deadline; one that has passed makes it ready
again, under another handle. What came to nothing `max_delivery_attempts` times, be it refused or
because its deadline passed, is published to the dead-letter topic, as if Pub/Sub's service account
might. Here nothing is late and nothing comes twice. Google's own emulator, where it is, passes the
same suites but for what moves the clock or counts.
"""

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.cloud.monitoring_v3 import types as monitoring
from google.protobuf import empty_pb2
from google.pubsub_v1 import types as pubsub

from headpond.testing.clocks import ManualClock

NAME = re.compile(
    r"projects/[a-z][a-z0-9-]+/(topics|subscriptions)/(?!goog)[A-Za-z][\w.~+%-]{2,254}"
)
MAX_ACK_DEADLINE_S = 600
MAX_DELIVERY_ATTEMPTS = 100
PULL_WAITS_S = 90.0

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class Lent:
    """A message that somebody has until then."""

    message: pubsub.PubsubMessage
    until: float


@dataclass(slots=True)
class Backlog:
    """Of a subscription."""

    settings: pubsub.Subscription
    ready: dict[str, pubsub.PubsubMessage] = field(default_factory=dict[str, Any])
    lent: dict[str, Lent] = field(default_factory=dict[str, Lent])
    for_nothing: Counter[str] = field(default_factory=Counter[str])
    more: asyncio.Event = field(default_factory=asyncio.Event)


class Pubsub:
    """A project's topics and subscriptions. Its time goes on, and with every advance of `clock`."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._began = clock.now()
        self._numbers = itertools.count(1)
        self.calls = Counter[str]()
        self._topics: dict[str, pubsub.Topic] = {}
        self._backlogs: dict[str, Backlog] = {}

    def now(self) -> float:
        """Seconds."""
        return time.monotonic() + self._clock.now() - self._began

    async def create_topic(self, topic: pubsub.Topic, context: Context) -> pubsub.Topic:
        await _named(topic.name, context)
        if topic.name in self._topics:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "Resource already exists")
        return self._topics.setdefault(topic.name, topic)

    async def delete_topic(
        self, request: pubsub.DeleteTopicRequest, context: Context
    ) -> empty_pb2.Empty:
        await _found(self._topics, request.topic, context)
        del self._topics[request.topic]
        for backlog in self._backlogs.values():
            if backlog.settings.topic == request.topic:
                backlog.settings.topic = "_deleted-topic_"
        return empty_pb2.Empty()

    async def publish(
        self, request: pubsub.PublishRequest, context: Context
    ) -> pubsub.PublishResponse:
        await _found(self._topics, request.topic, context)
        if not 1 <= len(request.messages) <= 1000:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "1 to 1000 messages")
        for message in request.messages:
            self._publish(request.topic, message)
        return pubsub.PublishResponse(message_ids=[each.message_id for each in request.messages])

    async def create_subscription(
        self, subscription: pubsub.Subscription, context: Context
    ) -> pubsub.Subscription:
        await _named(subscription.name, context)
        await _found(self._topics, subscription.topic, context)
        if subscription.name in self._backlogs:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "Resource already exists")
        if not 10 <= subscription.ack_deadline_seconds <= MAX_ACK_DEADLINE_S:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "ack deadline: 10 to 600 s")
        if policy := subscription.dead_letter_policy:
            await _found(self._topics, policy.dead_letter_topic, context)
            if not 5 <= policy.max_delivery_attempts <= MAX_DELIVERY_ATTEMPTS:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "5 to 100 attempts")
        self._backlogs[subscription.name] = Backlog(subscription)
        return subscription

    async def get_subscription(
        self, request: pubsub.GetSubscriptionRequest, context: Context
    ) -> pubsub.Subscription:
        return (await _found(self._backlogs, request.subscription, context)).settings

    async def delete_subscription(
        self, request: pubsub.DeleteSubscriptionRequest, context: Context
    ) -> empty_pb2.Empty:
        await _found(self._backlogs, request.subscription, context)
        del self._backlogs[request.subscription]
        return empty_pb2.Empty()

    async def pull(self, request: pubsub.PullRequest, context: Context) -> pubsub.PullResponse:
        backlog = await _found(self._backlogs, request.subscription, context)
        if request.max_messages < 1:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "max_messages must be positive")
        until = time.monotonic() + (0 if request.return_immediately else PULL_WAITS_S)
        while True:
            received = self._lend(backlog, request.max_messages)
            if received or time.monotonic() >= until:
                return pubsub.PullResponse(received_messages=received)
            backlog.more.clear()
            # A deadline may pass meanwhile.
            await asyncio.wait([asyncio.ensure_future(backlog.more.wait())], timeout=0.05)

    async def acknowledge(
        self, request: pubsub.AcknowledgeRequest, context: Context
    ) -> empty_pb2.Empty:
        backlog = await _found(self._backlogs, request.subscription, context)
        for handle in request.ack_ids:
            backlog.lent.pop(handle, None)
        return empty_pb2.Empty()

    async def modify_ack_deadline(
        self, request: pubsub.ModifyAckDeadlineRequest, context: Context
    ) -> empty_pb2.Empty:
        backlog = await _found(self._backlogs, request.subscription, context)
        if not 0 <= request.ack_deadline_seconds <= MAX_ACK_DEADLINE_S:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "ack deadline: 0 to 600 s")
        self._take_back(backlog)
        for handle in request.ack_ids:
            if lent := backlog.lent.get(handle):
                lent.until = self.now() + request.ack_deadline_seconds
        self._take_back(backlog)
        return empty_pb2.Empty()

    async def list_time_series(
        self, request: monitoring.ListTimeSeriesRequest, context: Context
    ) -> monitoring.ListTimeSeriesResponse:
        asked = re.search(r'resource.labels.subscription_id = "([^"]+)"', request.filter)
        if asked is None or "num_undelivered_messages" not in request.filter:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such metric")
            raise AssertionError
        backlog = self._backlogs.get(f"{request.name}/subscriptions/{asked[1]}")
        if backlog is None:
            return monitoring.ListTimeSeriesResponse()
        count = monitoring.TypedValue(int64_value=len(backlog.ready) + len(backlog.lent))
        series = monitoring.TimeSeries(points=[monitoring.Point(value=count)])
        return monitoring.ListTimeSeriesResponse(time_series=[series])

    def _lend(self, backlog: Backlog, most: int) -> list[pubsub.ReceivedMessage]:
        self._take_back(backlog)
        until = self.now() + backlog.settings.ack_deadline_seconds
        received: list[pubsub.ReceivedMessage] = []
        for name in list(backlog.ready)[:most]:
            message, handle = backlog.ready.pop(name), f"handle-{next(self._numbers)}"
            backlog.lent[handle] = Lent(message, until)
            received.append(pubsub.ReceivedMessage(ack_id=handle, message=message))
        return received

    def _take_back(self, backlog: Backlog) -> None:
        now = self.now()
        for handle, lent in list(backlog.lent.items()):
            if lent.until <= now:
                del backlog.lent[handle]
                self._came_to_nothing(backlog, lent.message)

    def _came_to_nothing(self, backlog: Backlog, message: pubsub.PubsubMessage) -> None:
        policy = backlog.settings.dead_letter_policy
        backlog.for_nothing[message.message_id] += 1
        if policy and backlog.for_nothing[message.message_id] >= policy.max_delivery_attempts:
            self._publish(policy.dead_letter_topic, message)
        else:
            backlog.ready[message.message_id] = message
            backlog.more.set()

    def _publish(self, topic: str, message: pubsub.PubsubMessage) -> None:
        message.message_id = f"{next(self._numbers):016d}"
        for backlog in self._backlogs.values():
            if backlog.settings.topic == topic:
                backlog.ready[message.message_id] = message
                backlog.more.set()


async def _named(name: str, context: Context) -> None:
    if not NAME.fullmatch(name):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{name!r} is no name")


async def _found(known: Mapping[str, Any], name: str, context: Context) -> Any:
    if name not in known:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found ({name})")
    return known[name]


Call = tuple[Callable[[Any, Context], Awaitable[Any]], Any, Any]


def _handlers(
    service: str, calls: Mapping[str, Call], counts: Counter[str]
) -> grpc.GenericRpcHandler:
    def counted(name: str, behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def call(request: Any, context: Context) -> Any:
            counts[name] += 1
            return await behaviour(request, context)

        return call

    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                counted(name, behaviour), request.deserialize, _serializer(answer)
            )
            for name, (behaviour, request, answer) in calls.items()
        },
    )


def _serializer(kind: Any) -> Callable[[Any], bytes]:
    return empty_pb2.Empty.SerializeToString if kind is empty_pb2.Empty else kind.serialize


@asynccontextmanager
async def pubsub_server(clock: ManualClock) -> AsyncGenerator[Pubsub]:
    """Sets `PUBSUB_EMULATOR_HOST`."""
    served, nothing = Pubsub(clock), empty_pb2.Empty
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (
            _handlers(
                "google.pubsub.v1.Publisher",
                {
                    "CreateTopic": (served.create_topic, pubsub.Topic, pubsub.Topic),
                    "DeleteTopic": (served.delete_topic, pubsub.DeleteTopicRequest, nothing),
                    "Publish": (served.publish, pubsub.PublishRequest, pubsub.PublishResponse),
                },
                served.calls,
            ),
            _handlers(
                "google.pubsub.v1.Subscriber",
                {
                    "CreateSubscription": (
                        served.create_subscription,
                        pubsub.Subscription,
                        pubsub.Subscription,
                    ),
                    "GetSubscription": (
                        served.get_subscription,
                        pubsub.GetSubscriptionRequest,
                        pubsub.Subscription,
                    ),
                    "DeleteSubscription": (
                        served.delete_subscription,
                        pubsub.DeleteSubscriptionRequest,
                        nothing,
                    ),
                    "Pull": (served.pull, pubsub.PullRequest, pubsub.PullResponse),
                    "Acknowledge": (served.acknowledge, pubsub.AcknowledgeRequest, nothing),
                    "ModifyAckDeadline": (
                        served.modify_ack_deadline,
                        pubsub.ModifyAckDeadlineRequest,
                        nothing,
                    ),
                },
                served.calls,
            ),
            _handlers(
                "google.monitoring.v3.MetricService",
                {
                    "ListTimeSeries": (
                        served.list_time_series,
                        monitoring.ListTimeSeriesRequest,
                        monitoring.ListTimeSeriesResponse,
                    )
                },
                served.calls,
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
            yield served
    finally:
        await server.stop(0)
