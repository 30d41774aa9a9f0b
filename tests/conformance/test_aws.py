"""The AWS adapters keep the contracts, over HTTP against moto."""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from itertools import count
from typing import ClassVar

import pytest
from typing_extensions import override

from headpond.adapters.aws.audit import DynamoAudit
from headpond.adapters.aws.batches import DynamoBatchLines, DynamoBatchStore
from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.dead_letters import DynamoDeadLetters
from headpond.adapters.aws.endpoints import DynamoEndpointStore
from headpond.adapters.aws.files import DynamoFileStore
from headpond.adapters.aws.jobs import DynamoJobStore
from headpond.adapters.aws.keys import DynamoKeyStore
from headpond.adapters.aws.open_jobs import DynamoOpenJobs
from headpond.adapters.aws.outbox import DynamoOutbox
from headpond.adapters.aws.queue import SqsQueue, open_queue
from headpond.adapters.aws.retention import DynamoRetention
from headpond.adapters.aws.roster import DynamoRoster
from headpond.adapters.aws.scaling import DynamoScalingStore
from headpond.adapters.aws.streams import DynamoTokenStreams
from headpond.adapters.aws.table import Table, open_table
from headpond.adapters.aws.workload import DynamoWorkload
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.job import Ticket
from headpond.services.counted_queue import CountedQueue
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.batches_suite import BatchStage, BatchSuite
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import DeadLettersSuite, DeadStage
from headpond.testing.delivery_suite import LEASE_S, MAX_LOST_LEASES, DeliverySuite, Stage
from headpond.testing.files_suite import FileStoreSuite
from headpond.testing.jobs_suite import JobStoreSuite
from headpond.testing.keys_suite import KeyStoreSuite
from headpond.testing.open_jobs_suite import OpenJobsSuite, OpenStage
from headpond.testing.queue_suite import Power, QueueSuite
from headpond.testing.retention_suite import RetentionStage, RetentionSuite
from headpond.testing.roster_suite import RosterSuite
from headpond.testing.scaling_suite import ScalingStoreSuite
from headpond.testing.streams_suite import Stage as StreamStage
from headpond.testing.streams_suite import TokenStreamsSuite
from headpond.testing.webhooks_suite import Stores, WebhookSuite
from headpond.testing.workload_suite import WorkloadStage, WorkloadSuite
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


class TestSqsQueue(QueueSuite):
    without: ClassVar[Mapping[Power, str]] = {
        Power.ORDER: "a standard queue's order is best effort; moto's would be exact",
        Power.AGE: "SQS tells the age of the oldest message to CloudWatch alone",
        Power.TEAMS: "SQS counts messages of a queue, not those of a group",
        Power.CLOCK: "SQS has its own",
    }

    @pytest.fixture
    @override
    async def queue(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, clock: ManualClock, place: Place, moto: Moto
    ) -> AsyncIterator[SqsQueue]:
        with moto.on_clock(clock):
            async with open_queue(place, clock) as queue:
                yield queue


@pytest.fixture
async def table(place: Place) -> AsyncIterator[Table]:
    async with open_table(place) as table:
        yield table


@pytest.fixture
async def jobs(clock: ManualClock, table: Table) -> AsyncIterator[DynamoJobStore]:
    store = DynamoJobStore(table, clock)
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class TestDynamoJobStore(JobStoreSuite):
    @pytest.fixture
    @override
    async def jobs(self, clock: ManualClock, table: Table) -> AsyncIterator[DynamoJobStore]:  # pyright: ignore[reportIncompatibleMethodOverride]
        store = DynamoJobStore(table, clock)
        yield store
        await store.close()


class TestDynamoOpenJobs(OpenJobsSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DynamoJobStore) -> OpenStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return OpenStage(DynamoOpenJobs(table), jobs)


class TestDynamoDeadLetters(DeadLettersSuite):
    many = 130  # a page has 100, and moto takes 30 ms for a record

    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DynamoJobStore) -> DeadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DeadStage(DynamoDeadLetters(table), jobs)


class TestDynamoRetention(RetentionSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DynamoJobStore) -> RetentionStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        batches = DynamoBatchStore(table)
        retention = DynamoRetention(table, jobs, batches, DynamoBatchLines(table))
        return RetentionStage(retention, jobs, DynamoAudit(table), batches)


class TestDynamoKeyStore(KeyStoreSuite):
    @pytest.fixture
    @override
    async def keys(self, table: Table) -> DynamoKeyStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DynamoKeyStore(table)


class TestDynamoRoster(RosterSuite):
    @pytest.fixture
    @override
    async def roster(self, table: Table) -> DynamoRoster:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DynamoRoster(table)


class TestDynamoScalingStore(ScalingStoreSuite):
    @pytest.fixture
    @override
    async def scaling(self, table: Table) -> DynamoScalingStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DynamoScalingStore(table)


class TestDynamoWorkload(WorkloadSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DynamoJobStore, clock: ManualClock) -> WorkloadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        workload = DynamoWorkload(table)
        queue = CountedQueue(MemoryQueue(clock), workload)
        return WorkloadStage(workload, jobs, queue, queue.close)


class TestDynamoWebhooks(WebhookSuite):
    @pytest.fixture
    @override
    async def stores(self, table: Table, jobs: DynamoJobStore) -> Stores:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Stores(
            jobs, DynamoBatchStore(table), DynamoEndpointStore(table), DynamoOutbox(table)
        )


class TestDynamoTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DynamoJobStore, clock: ManualClock) -> StreamStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return StreamStage(DynamoTokenStreams(table, clock), jobs)


class TestDynamoFileStore(FileStoreSuite):
    @pytest.fixture
    @override
    async def files(self, table: Table) -> DynamoFileStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DynamoFileStore(table)


class TestDynamoBatches(BatchSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DynamoJobStore) -> BatchStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return BatchStage(DynamoBatchStore(table), DynamoBatchLines(table), jobs)


class TestTwoStepDeliveryOnAws(DeliverySuite):
    unfair = "SQS keeps noisy groups back in its own way, and moto in none"

    @pytest.fixture
    @override
    async def stage(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        clock: ManualClock,
        table: Table,
        jobs: DynamoJobStore,
        place: Place,
        moto: Moto,
    ) -> AsyncIterator[Stage]:
        tickets = count()
        with moto.on_clock(clock):
            async with open_queue(place, clock) as queue:
                delivery = TwoStepDelivery(
                    jobs,
                    queue,
                    clock=clock,
                    new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
                    lease_s=LEASE_S,
                    max_lost_leases=MAX_LOST_LEASES,
                )
                yield Stage(delivery, jobs, queue, DynamoAudit(table), clock)
