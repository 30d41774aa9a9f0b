"""A namespace, and what runs on it."""

from collections.abc import AsyncIterator

import pytest

from headpond.adapters.azure.namespaces import place_of
from headpond.adapters.azure.queue import ServiceBusQueue, open_queue
from headpond.testing.clocks import ManualClock
from tests.emulators.servicebus_server import ServiceBus, ahead, servicebus_server


@pytest.fixture
def clock() -> ManualClock:
    return ahead()


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[ServiceBus]:
    async with servicebus_server(clock) as server:
        yield server


@pytest.fixture
async def queue(server: ServiceBus, clock: ManualClock) -> AsyncIterator[ServiceBusQueue]:
    async with open_queue(place_of(server.url("pond")), clock) as queue:
        yield queue


@pytest.fixture
async def other(server: ServiceBus, clock: ManualClock) -> AsyncIterator[ServiceBusQueue]:
    """The same lanes, in another process."""
    async with open_queue(place_of(server.url("pond")), clock) as queue:
        yield queue
