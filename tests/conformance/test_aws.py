"""The AWS adapters keep the contracts, over HTTP against moto."""

from collections.abc import AsyncIterator, Generator, Iterator
from itertools import count

import pytest
from typing_extensions import override

from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.queue import SqsQueue, open_queue
from headpond.adapters.aws.table import open_table
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letter_queue_suite import DeadLetterQueueSuite
from headpond.testing.delivery_suite import (
    DeliverySuite,
    Stage,
)
from headpond.testing.queue_suite import QueueSuite
from tests.document_stage import stage_on
from tests.emulators.moto_server import Moto, moto_server

_prefixes = (f"headpond-{number}" for number in count())


@pytest.fixture(scope="module")
def moto() -> Generator[Moto]:
    with moto_server() as server:
        yield server


@pytest.fixture
def place(moto: Moto) -> Iterator[Place]:
    """One of its own for each test."""
    yield Place("eu-central-1", next(_prefixes), moto.url)
    moto.forget_tables()


class OnSqs:
    """A queue on moto."""

    @pytest.fixture
    async def queue(self, clock: ManualClock, place: Place, moto: Moto) -> AsyncIterator[SqsQueue]:
        with moto.on_clock(clock):
            async with open_queue(place, clock) as queue:
                yield queue


class TestSqsQueue(OnSqs, QueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


class TestDeadLettersOnSqs(OnSqs, DeadLetterQueueSuite):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class TestTwoStepDeliveryOnAws(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        clock: ManualClock,
        place: Place,
        moto: Moto,
    ) -> AsyncIterator[Stage]:
        with moto.on_clock(clock):
            async with (
                open_table(place) as table,
                open_queue(place, clock) as queue,
                stage_on(table, queue, clock) as stage,
            ):
                yield stage
