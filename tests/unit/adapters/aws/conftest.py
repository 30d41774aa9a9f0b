"""A server, and what runs on it."""

from collections.abc import AsyncIterator, Generator, Iterator
from itertools import count

import pytest

from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.queue import SqsQueue, open_queue
from headpond.adapters.aws.table import DynamoTable, open_table
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.testing.clocks import ManualClock
from tests.emulators.moto_server import Moto, moto_server

_prefixes = (f"pond-{number}" for number in count())


@pytest.fixture(scope="module")
def moto() -> Generator[Moto]:
    with moto_server() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def place(moto: Moto, clock: ManualClock) -> Iterator[Place]:
    with moto.on_clock(clock):
        yield Place("eu-central-1", next(_prefixes), moto.url)
    moto.forget_tables()


@pytest.fixture
async def table(place: Place) -> AsyncIterator[DynamoTable]:
    async with open_table(place) as table:
        yield table


@pytest.fixture
async def queue(place: Place, clock: ManualClock) -> AsyncIterator[SqsQueue]:
    async with open_queue(place, clock) as queue:
        yield queue


@pytest.fixture
async def jobs(table: DynamoTable, clock: ManualClock) -> AsyncIterator[DocumentJobStore]:
    store = DocumentJobStore(table, clock, DocumentBodies(table, clock))
    yield store
    await store.close()
