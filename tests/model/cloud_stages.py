"""Queues of clouds for random histories, on emulators whose clocks are moved."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from typing_extensions import override

from headpond.adapters.aws import calls
from headpond.adapters.aws.queue import open_queue as open_sqs
from headpond.adapters.azure.namespaces import place_of
from headpond.adapters.azure.queue import open_queue as open_servicebus
from headpond.adapters.gcp import counts
from headpond.adapters.gcp.places import Place
from headpond.adapters.gcp.queue import open_queue as open_pubsub
from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_histories import UnorderedQueueHistories
from tests.emulators.moto_server import moto_server
from tests.emulators.pubsub_server import pubsub_server
from tests.emulators.servicebus_server import servicebus_server

_prefixes = (f"pond-{number}" for number in count())


class SqsHistories(UnorderedQueueHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Queue]:
        with moto_server() as moto, moto.on_clock(clock):
            place = calls.Place("eu-central-1", next(_prefixes), moto.url)
            async with open_sqs(place, clock) as queue:
                yield queue


class PubsubHistories(UnorderedQueueHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Queue]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counts, "HOLDS_S", 0)
            async with (
                pubsub_server(clock),
                open_pubsub(Place("test-project", next(_prefixes)), clock) as queue,
            ):
                yield queue


class ServiceBusHistories(UnorderedQueueHistories):
    begins = time.time() + 86_400
    """Ahead of the machine's clock, by which the SDK looks whether a lock is over."""

    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Queue]:
        async with (
            servicebus_server(clock) as server,
            open_servicebus(place_of(server.url(next(_prefixes))), clock) as queue,
        ):
            yield queue
