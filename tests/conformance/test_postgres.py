"""The PostgreSQL adapters keep the contracts, on a real server."""

from itertools import count

import pytest
from typing_extensions import override

from headpond.adapters.postgres.audit import PostgresAudit
from headpond.adapters.postgres.batches import PostgresBatchLines, PostgresBatchStore
from headpond.adapters.postgres.blobs import PostgresBlobs
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.dead_letters import PostgresDeadLetters
from headpond.adapters.postgres.delivery import PostgresDelivery
from headpond.adapters.postgres.endpoints import PostgresEndpointStore
from headpond.adapters.postgres.files import PostgresFileStore
from headpond.adapters.postgres.jobs import PostgresJobStore
from headpond.adapters.postgres.keys import PostgresKeyStore
from headpond.adapters.postgres.open_jobs import PostgresOpenJobs
from headpond.adapters.postgres.outbox import PostgresOutbox
from headpond.adapters.postgres.queue import PostgresQueue
from headpond.adapters.postgres.retention import PostgresRetention
from headpond.adapters.postgres.roster import PostgresRoster
from headpond.adapters.postgres.scaling import PostgresScalingStore
from headpond.adapters.postgres.streams import PostgresTokenStreams
from headpond.adapters.postgres.workload import PostgresWorkload
from headpond.domain.job import Ticket
from headpond.testing.batches_suite import BatchStage, BatchSuite
from headpond.testing.blobs_suite import BlobsSuite
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import DeadLettersSuite, DeadStage
from headpond.testing.delivery_suite import (
    LEASE_S,
    MAX_LOST_LEASES,
    DeliverySuite,
    Stage,
    two_steps,
)
from headpond.testing.fair_queue_suite import FairQueueSuite
from headpond.testing.files_suite import FileStoreSuite
from headpond.testing.jobs_suite import JobStoreSuite
from headpond.testing.keys_suite import KeyStoreSuite
from headpond.testing.open_jobs_suite import OpenJobsSuite, OpenStage
from headpond.testing.retention_suite import RetentionStage, RetentionSuite
from headpond.testing.roster_suite import RosterSuite
from headpond.testing.scaling_suite import ScalingStoreSuite
from headpond.testing.streams_suite import Stage as StreamStage
from headpond.testing.streams_suite import TokenStreamsSuite
from headpond.testing.unreadable_suite import UnreadableStage, UnreadableSuite
from headpond.testing.webhooks_suite import Stores, WebhookSuite
from headpond.testing.workload_suite import WorkloadStage, WorkloadSuite

DAMAGE_JOB = "UPDATE jobs SET record = '{}', version = version + 1 WHERE id = $1"
DAMAGE_BATCH = "UPDATE batches SET record = '{}', version = version + 1 WHERE id = $1"


class TestPostgresQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock, postgres_database: Database) -> PostgresQueue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresQueue(postgres_database, clock)


class TestPostgresJobStore(JobStoreSuite):
    @pytest.fixture
    @override
    async def jobs(self, clock: ManualClock, postgres_database: Database) -> PostgresJobStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresJobStore(postgres_database, clock)


class TestPostgresOpenJobs(OpenJobsSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> OpenStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return OpenStage(
            PostgresOpenJobs(postgres_database), PostgresJobStore(postgres_database, ManualClock())
        )


class TestPostgresDeadLetters(DeadLettersSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> DeadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DeadStage(
            PostgresDeadLetters(postgres_database),
            PostgresJobStore(postgres_database, ManualClock()),
        )


class TestPostgresRetention(RetentionSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> RetentionStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs = PostgresJobStore(postgres_database, ManualClock())
        batches = PostgresBatchStore(postgres_database)
        return RetentionStage(
            PostgresRetention(postgres_database), jobs, PostgresAudit(postgres_database), batches
        )


class TestPostgresKeyStore(KeyStoreSuite):
    @pytest.fixture
    @override
    async def keys(self, postgres_database: Database) -> PostgresKeyStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresKeyStore(postgres_database)


class TestPostgresRoster(RosterSuite):
    @pytest.fixture
    @override
    async def roster(self, postgres_database: Database) -> PostgresRoster:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresRoster(postgres_database)


class TestPostgresScalingStore(ScalingStoreSuite):
    @pytest.fixture
    @override
    async def scaling(self, postgres_database: Database) -> PostgresScalingStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresScalingStore(postgres_database)


class TestPostgresWorkload(WorkloadSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> WorkloadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock = ManualClock()
        return WorkloadStage(
            PostgresWorkload(postgres_database),
            PostgresJobStore(postgres_database, clock),
            PostgresQueue(postgres_database, clock),
        )


class TestPostgresWebhooks(WebhookSuite):
    @pytest.fixture
    @override
    async def stores(self, postgres_database: Database) -> Stores:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Stores(
            PostgresJobStore(postgres_database, ManualClock()),
            PostgresBatchStore(postgres_database),
            PostgresEndpointStore(postgres_database),
            PostgresOutbox(postgres_database),
        )


class TestPostgresTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> StreamStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return StreamStage(
            PostgresTokenStreams(postgres_database),
            PostgresJobStore(postgres_database, ManualClock()),
        )


class TestPostgresFileStore(FileStoreSuite):
    @pytest.fixture
    @override
    async def files(self, postgres_database: Database) -> PostgresFileStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresFileStore(postgres_database)


class TestPostgresBlobs(BlobsSuite):
    @pytest.fixture
    @override
    async def blobs(self, postgres_database: Database) -> PostgresBlobs:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PostgresBlobs(postgres_database, ManualClock())


class TestPostgresBatches(BatchSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> BatchStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs = PostgresJobStore(postgres_database, ManualClock())
        return BatchStage(
            PostgresBatchStore(postgres_database), PostgresBatchLines(postgres_database), jobs
        )


class TestPostgresDelivery(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock, postgres_database: Database) -> Stage:  # pyright: ignore[reportIncompatibleMethodOverride]
        tickets = count()
        delivery = PostgresDelivery(
            postgres_database,
            clock=clock,
            new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
            lease_s=LEASE_S,
            max_lost_leases=MAX_LOST_LEASES,
        )
        return Stage(
            delivery,
            PostgresJobStore(postgres_database, clock),
            PostgresQueue(postgres_database, clock),
            PostgresAudit(postgres_database),
            clock,
        )


class TestUnreadableOnPostgres(UnreadableSuite):
    @pytest.fixture
    @override
    async def stage(self, postgres_database: Database) -> UnreadableStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock, tickets = ManualClock(), count()

        async def damage(statement: str, name: str) -> None:
            await postgres_database.transaction(
                lambda connection: connection.fetch(statement, name)
            )

        return UnreadableStage(
            clock=clock,
            jobs=PostgresJobStore(postgres_database, clock),
            queue=PostgresQueue(postgres_database, clock),
            delivery=PostgresDelivery(
                postgres_database,
                clock=clock,
                new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
                lease_s=LEASE_S,
                max_lost_leases=MAX_LOST_LEASES,
            ),
            open_jobs=PostgresOpenJobs(postgres_database),
            dead=PostgresDeadLetters(postgres_database),
            retention=PostgresRetention(postgres_database),
            batches=PostgresBatchStore(postgres_database),
            lines=PostgresBatchLines(postgres_database),
            streams=PostgresTokenStreams(postgres_database),
            damage=lambda job_id: damage(DAMAGE_JOB, job_id),
            damage_batch=lambda batch_id: damage(DAMAGE_BATCH, batch_id),
        )


class TestTwoStepDeliveryOnPostgres(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock, postgres_database: Database) -> Stage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs, queue = (
            PostgresJobStore(postgres_database, clock),
            PostgresQueue(postgres_database, clock),
        )
        delivery = two_steps(jobs, queue, clock)
        return Stage(delivery, jobs, queue, PostgresAudit(postgres_database), clock)
