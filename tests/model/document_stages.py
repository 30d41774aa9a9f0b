"""The store of documents for random histories, in the table of each service, beside a queue."""

from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from itertools import count

from typing_extensions import override

from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.table import open_table as open_dynamodb
from headpond.adapters.azure.account import Place as AzurePlace
from headpond.adapters.azure.table import open_table as open_cosmos
from headpond.adapters.documents.table import Table
from headpond.adapters.gcp.places import Place as GooglePlace
from headpond.adapters.gcp.table import open_table as open_firestore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_histories import DeliveryHistories
from headpond.testing.delivery_suite import Stage
from tests.document_stage import stage_on
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.google_emulators import firestore_emulator
from tests.emulators.moto_server import moto_server

_prefixes = (f"histories-{number}" for number in count())


class DocumentHistories(DeliveryHistories):
    compares_every = 5

    def table(self) -> AbstractAsyncContextManager[Table]:
        """An empty one."""
        raise NotImplementedError

    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Stage]:
        async with self.table() as table, stage_on(table, MemoryQueue(clock), clock) as stage:
            yield stage


class CosmosHistories(DocumentHistories):
    @override
    @asynccontextmanager
    async def table(self) -> AsyncGenerator[Table]:
        async with (
            cosmos_server(Cosmos()) as cosmos,
            open_cosmos(
                AzurePlace(cosmos.url, "tests", next(_prefixes), KEY), ManualClock()
            ) as table,
        ):
            yield table


@contextmanager
def cosmos_histories() -> Generator[type[DocumentHistories]]:
    """Each has an emulator of its own."""
    yield CosmosHistories


@contextmanager
def dynamodb_histories() -> Generator[type[DocumentHistories]]:
    """One after the other on one emulator."""
    with moto_server() as moto:

        class DynamoHistories(DocumentHistories):
            @override
            @asynccontextmanager
            async def table(self) -> AsyncGenerator[Table]:
                place = Place("eu-central-1", next(_prefixes), moto.url)
                async with open_dynamodb(place) as table:
                    yield table
                moto.forget_tables()

        yield DynamoHistories


@contextmanager
def firestore_histories() -> Generator[type[DocumentHistories]]:
    """One after the other on one emulator."""

    class FirestoreHistories(DocumentHistories):
        @override
        @asynccontextmanager
        async def table(self) -> AsyncGenerator[Table]:
            async with open_firestore(GooglePlace("test-project", next(_prefixes))) as table:
                yield table

    with firestore_emulator():
        yield FirestoreHistories
