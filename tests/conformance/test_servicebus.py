"""Lanes in Service Bus keep the contracts, over AMQP against an emulator that is on their clock."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from headpond.adapters.azure.account import Place
from headpond.adapters.azure.namespaces import place_of
from headpond.adapters.azure.queue import ServiceBusQueue, open_queue
from headpond.adapters.azure.table import open_table
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letter_queue_suite import DeadLetterQueueSuite
from headpond.testing.delivery_suite import (
    DeliverySuite,
    Stage,
)
from headpond.testing.queue_suite import QueueSuite
from tests.document_stage import stage_on
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.servicebus_server import ahead, servicebus_server


@asynccontextmanager
async def queue_on(clock: ManualClock) -> AsyncGenerator[ServiceBusQueue]:
    """On an emulator of its own."""
    async with (
        servicebus_server(clock) as server,
        open_queue(place_of(server.url("headpond")), clock) as queue,
    ):
        yield queue


class OnServiceBus:
    """A queue on an emulator of its own."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ahead()

    @pytest.fixture
    async def queue(self, clock: ManualClock) -> AsyncIterator[ServiceBusQueue]:
        async with queue_on(clock) as queue:
            yield queue


class TestServiceBusQueue(OnServiceBus, QueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


class TestDeadLettersOnServiceBus(OnServiceBus, DeadLetterQueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


class TestTwoStepDeliveryOnAzure(DeliverySuite):
    @pytest.fixture
    @override
    def clock(self) -> ManualClock:
        return ahead()

    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock) -> AsyncIterator[Stage]:  # pyright: ignore[reportIncompatibleMethodOverride]
        async with (
            queue_on(clock) as queue,
            cosmos_server(Cosmos()) as cosmos,
            open_table(Place(cosmos.url, "tests", "pond", KEY), clock) as table,
            stage_on(table, queue, clock) as stage,
        ):
            yield stage
