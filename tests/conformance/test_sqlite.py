"""The SQLite adapters keep the contracts, with their threads and inline."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from typing_extensions import override

from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.batches import SqliteBatchLines, SqliteBatchStore
from headpond.adapters.sqlite.cache import SqliteAnswerCache
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.dead_letters import SqliteDeadLetters
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.endpoints import SqliteEndpointStore
from headpond.adapters.sqlite.files import SqliteFileStore
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.keys import SqliteKeyStore
from headpond.adapters.sqlite.open_jobs import SqliteOpenJobs
from headpond.adapters.sqlite.outbox import SqliteOutbox
from headpond.adapters.sqlite.queue import SqliteQueue
from headpond.adapters.sqlite.retention import SqliteRetention
from headpond.adapters.sqlite.roster import SqliteRoster
from headpond.adapters.sqlite.scaling import SqliteScalingStore
from headpond.adapters.sqlite.streams import SqliteTokenStreams
from headpond.adapters.sqlite.workload import SqliteWorkload
from headpond.domain.job import Ticket
from headpond.testing.batches_suite import BatchStage, BatchSuite
from headpond.testing.cache_suite import ROOM, AnswerCacheSuite, CacheStage
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

DAMAGE_JOB = "UPDATE jobs SET record = '{}', version = version + 1 WHERE id = ?"
DAMAGE_BATCH = "UPDATE batches SET record = '{}', version = version + 1 WHERE id = ?"


@pytest.fixture(params=["threads", "inline"])
async def database(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "headpond.db", inline=request.param == "inline")
    opened.open()
    yield opened
    await opened.close()


class TestSqliteQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock, database: Database) -> SqliteQueue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SqliteQueue(database, clock)


class TestSqliteJobStore(JobStoreSuite):
    @pytest.fixture
    @override
    async def jobs(self, clock: ManualClock, database: Database) -> SqliteJobStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SqliteJobStore(database, clock)


class TestSqliteOpenJobs(OpenJobsSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> OpenStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return OpenStage(SqliteOpenJobs(database), SqliteJobStore(database, ManualClock()))


class TestSqliteDeadLetters(DeadLettersSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> DeadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DeadStage(SqliteDeadLetters(database), SqliteJobStore(database, ManualClock()))


class TestSqliteRetention(RetentionSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> RetentionStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs = SqliteJobStore(database, ManualClock())
        batches = SqliteBatchStore(database)
        return RetentionStage(SqliteRetention(database), jobs, SqliteAudit(database), batches)


class TestSqliteKeyStore(KeyStoreSuite):
    @pytest.fixture
    @override
    async def keys(self, database: Database) -> SqliteKeyStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SqliteKeyStore(database)


class TestSqliteRoster(RosterSuite):
    @pytest.fixture
    @override
    async def roster(self, database: Database) -> SqliteRoster:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SqliteRoster(database)


class TestSqliteScalingStore(ScalingStoreSuite):
    @pytest.fixture
    @override
    async def scaling(self, database: Database) -> SqliteScalingStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SqliteScalingStore(database)


class TestSqliteWorkload(WorkloadSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> WorkloadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock = ManualClock()
        return WorkloadStage(
            SqliteWorkload(database),
            SqliteJobStore(database, clock),
            SqliteQueue(database, clock),
        )


class TestSqliteWebhooks(WebhookSuite):
    @pytest.fixture
    @override
    async def stores(self, database: Database) -> Stores:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Stores(
            SqliteJobStore(database, ManualClock()),
            SqliteBatchStore(database),
            SqliteEndpointStore(database),
            SqliteOutbox(database),
        )


class TestSqliteTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> StreamStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return StreamStage(SqliteTokenStreams(database), SqliteJobStore(database, ManualClock()))


class TestSqliteFileStore(FileStoreSuite):
    @pytest.fixture
    @override
    async def files(self, database: Database) -> SqliteFileStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SqliteFileStore(database)


class TestSqliteBatches(BatchSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> BatchStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs = SqliteJobStore(database, ManualClock())
        return BatchStage(SqliteBatchStore(database), SqliteBatchLines(database), jobs)


class TestSqliteDelivery(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock, database: Database) -> Stage:  # pyright: ignore[reportIncompatibleMethodOverride]
        tickets = count()
        delivery = SqliteDelivery(
            database,
            clock=clock,
            new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
            lease_s=LEASE_S,
            max_lost_leases=MAX_LOST_LEASES,
        )
        return Stage(
            delivery,
            SqliteJobStore(database, clock),
            SqliteQueue(database, clock),
            SqliteAudit(database),
            clock,
        )


class TestTwoStepDeliveryOnSqlite(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock, database: Database) -> Stage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs, queue = SqliteJobStore(database, clock), SqliteQueue(database, clock)
        delivery = two_steps(jobs, queue, clock)
        return Stage(delivery, jobs, queue, SqliteAudit(database), clock)


class TestUnreadableOnSqlite(UnreadableSuite):
    @pytest.fixture
    @override
    async def stage(self, database: Database) -> UnreadableStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock, tickets = ManualClock(), count()

        async def damage(statement: str, name: str) -> None:
            await database.write(lambda connection: connection.execute(statement, (name,)))

        return UnreadableStage(
            clock=clock,
            jobs=SqliteJobStore(database, clock),
            queue=SqliteQueue(database, clock),
            delivery=SqliteDelivery(
                database,
                clock=clock,
                new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
                lease_s=LEASE_S,
                max_lost_leases=MAX_LOST_LEASES,
            ),
            open_jobs=SqliteOpenJobs(database),
            dead=SqliteDeadLetters(database),
            retention=SqliteRetention(database),
            batches=SqliteBatchStore(database),
            lines=SqliteBatchLines(database),
            streams=SqliteTokenStreams(database),
            damage=lambda job_id: damage(DAMAGE_JOB, job_id),
            damage_batch=lambda batch_id: damage(DAMAGE_BATCH, batch_id),
        )


class TestSqliteAnswerCache(AnswerCacheSuite):
    @pytest.fixture
    @override
    async def stage(self, tmp_path: Path) -> AsyncIterator[CacheStage]:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock, path = ManualClock(), tmp_path / "cache.db"
        one = SqliteAnswerCache(path, clock, max_bytes=ROOM)
        other = SqliteAnswerCache(path, clock, max_bytes=ROOM)
        yield CacheStage(one, other, clock)
        await one.close()
        await other.close()
