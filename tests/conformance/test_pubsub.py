"""Lanes in Pub/Sub keep the contracts, over gRPC against an emulator whose clock can be moved.

On Google's own they keep what can be shown without moving it.
"""

from collections.abc import AsyncIterator, Generator
from itertools import count

import pytest
from typing_extensions import override

from headpond.adapters.gcp.places import Place
from headpond.adapters.gcp.queue import PubsubQueue, open_queue
from headpond.adapters.gcp.table import open_table
from headpond.adapters.local.clock import SystemClock
from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.errors import Unavailable
from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letter_queue_suite import DeadLetterQueueSuite
from headpond.testing.delivery_suite import (
    DeliverySuite,
    Stage,
    two_steps,
)
from headpond.testing.queue_suite import QueueSuite
from tests.document_stage import stage_on
from tests.emulators.google_emulators import firestore_emulator, pubsub_emulator
from tests.emulators.pubsub_server import pubsub_server

_prefixes = (f"headpond-{number}" for number in count())


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop() -> None:  # pyright: ignore[reportUnusedFunction]
    """For all tests: gRPC's thread calls back into loops that are closed by then."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class OnPubsub:
    """A queue on an emulator of its own."""

    @pytest.fixture
    async def queue(self, clock: ManualClock) -> AsyncIterator[PubsubQueue]:
        async with (
            pubsub_server(clock),
            open_queue(Place("test-project", next(_prefixes)), clock) as queue,
        ):
            yield queue


class TestPubsubQueue(OnPubsub, QueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


class TestDeadLettersOnPubsub(OnPubsub, DeadLetterQueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


@pytest.fixture(scope="module")
def googles() -> Generator[str]:
    with pubsub_emulator() as host:
        yield host


class OnGoogles:
    """A queue on Google's emulator; what asks for a clock is skipped."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        pytest.skip("Google's emulator goes by the machine's clock")

    @pytest.fixture
    async def queue(self, googles: str) -> AsyncIterator[PubsubQueue]:
        del googles
        async with open_queue(Place("test-project", next(_prefixes)), SystemClock()) as queue:
            yield queue


class TestPubsubQueueOnGoogles(OnGoogles, QueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    @override
    async def test_an_empty_lane_has_no_oldest_message(self, queue: Queue) -> None:
        with pytest.raises(Unavailable, match="has no count"):
            await super().test_an_empty_lane_has_no_oldest_message(queue)
        pytest.skip("Google's emulator has no Cloud Monitoring, which counts for Pub/Sub")


class TestDeadLettersOnGoogles(OnGoogles, DeadLetterQueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


class TestTwoStepDeliveryOnPubsub(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock) -> AsyncIterator[Stage]:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs = MemoryJobStore(clock)
        async with (
            pubsub_server(clock),
            open_queue(Place("test-project", next(_prefixes)), clock) as queue,
        ):
            delivery = two_steps(jobs, queue, clock)
            yield Stage(delivery, jobs, queue, MemoryAudit(jobs), clock)


@pytest.fixture(scope="module")
def firestore() -> Generator[str]:
    with firestore_emulator() as host:
        yield host


@pytest.mark.usefixtures("firestore")
class TestTwoStepDeliveryOnGoogleCloud(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock) -> AsyncIterator[Stage]:  # pyright: ignore[reportIncompatibleMethodOverride]
        place = Place("test-project", next(_prefixes))
        async with (
            pubsub_server(clock),
            open_queue(place, clock) as queue,
            open_table(place) as table,
            stage_on(table, queue, clock) as stage,
        ):
            yield stage
