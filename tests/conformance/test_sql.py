"""The SQL stores, wired as the product has them, keep the contracts.

SQLite with its threads and inline, PostgreSQL on a real server.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typing_extensions import override

from headpond.adapters.postgres.database import Database as Postgres
from headpond.adapters.sqlite.cache import SqliteAnswerCache
from headpond.adapters.sqlite.database import Database as Sqlite
from headpond.domain.retry import RetryPolicy
from headpond.ports.blobs import Blobs
from headpond.ports.delivery import Delivery
from headpond.ports.files import FileStore
from headpond.ports.jobs import JobStore
from headpond.ports.keys import KeyStore
from headpond.ports.queue import Queue
from headpond.ports.roster import Roster
from headpond.ports.scaling import ScalingStore
from headpond.settings import PoolSettings
from headpond.testing.batches_suite import BatchStage, BatchSuite
from headpond.testing.blobs_suite import BlobsSuite
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
from headpond.wiring.postgres import postgres_on
from headpond.wiring.sqlite import sqlite_on
from headpond.wiring.stores import Store
from tests.postgres import PostgresServer, emptied

POOL = PoolSettings(lease_s=LEASE_S, retry=RetryPolicy(max_lost_leases=MAX_LOST_LEASES))

DAMAGE = "UPDATE {} SET record = '{{}}', version = version + 1 WHERE id = {}"


@dataclass(frozen=True)
class Opened:
    """A store, and `damage` for a row of a table, by its id."""

    store: Store
    damage: Callable[[str, str], Awaitable[None]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "sqlite-inline", "postgres"])
async def opened(
    clock: ManualClock, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Opened]:
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        async with on_postgres(server, clock) as opened:
            yield opened
    else:
        inline = request.param == "sqlite-inline"
        async with on_sqlite(tmp_path, clock, inline=inline) as opened:
            yield opened


@asynccontextmanager
async def on_postgres(server: PostgresServer, clock: ManualClock) -> AsyncGenerator[Opened]:
    database = Postgres(server.url)

    async def damage(table: str, name: str) -> None:
        statement = DAMAGE.format(table, "$1")
        await database.transaction(lambda connection: connection.fetch(statement, name))

    await database.open()
    await emptied(database)
    yield Opened(postgres_on(database, clock), damage)
    await database.close()


@asynccontextmanager
async def on_sqlite(home: Path, clock: ManualClock, *, inline: bool) -> AsyncGenerator[Opened]:
    database = Sqlite(home / "headpond.db", inline=inline)

    async def damage(table: str, name: str) -> None:
        statement = DAMAGE.format(table, "?")
        await database.write(lambda connection: connection.execute(statement, (name,)))

    database.open()
    yield Opened(sqlite_on(database, clock, home), damage)
    await database.close()


@pytest.fixture
def store(opened: Opened) -> Store:
    return opened.store


class TestQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, store: Store) -> Queue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.queue


class TestJobStore(JobStoreSuite):
    @pytest.fixture
    @override
    async def jobs(self, store: Store) -> JobStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.jobs


class TestOpenJobs(OpenJobsSuite):
    @pytest.fixture
    @override
    async def stage(self, store: Store) -> OpenStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return OpenStage(store.open_jobs, store.jobs)


class TestDeadLetters(DeadLettersSuite):
    @pytest.fixture
    @override
    async def stage(self, store: Store) -> DeadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DeadStage(store.dead_letters, store.jobs)


class TestRetention(RetentionSuite):
    @pytest.fixture
    @override
    async def stage(self, store: Store) -> RetentionStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return RetentionStage(store.retention, store.jobs, store.audit, store.batches)


class TestKeyStore(KeyStoreSuite):
    @pytest.fixture
    @override
    async def keys(self, store: Store) -> KeyStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.keys


class TestRoster(RosterSuite):
    @pytest.fixture
    @override
    async def roster(self, store: Store) -> Roster:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.roster


class TestScalingStore(ScalingStoreSuite):
    @pytest.fixture
    @override
    async def scaling(self, store: Store) -> ScalingStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.scaling


class TestWorkload(WorkloadSuite):
    @pytest.fixture
    @override
    async def stage(self, store: Store) -> WorkloadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return WorkloadStage(store.workload, store.jobs, store.queue)


class TestWebhooks(WebhookSuite):
    @pytest.fixture
    @override
    async def stores(self, store: Store) -> Stores:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Stores(store.jobs, store.batches, store.endpoints, store.outbox)


class TestTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self, store: Store) -> StreamStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return StreamStage(store.streams, store.jobs)


class TestFileStore(FileStoreSuite):
    @pytest.fixture
    @override
    async def files(self, store: Store) -> FileStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.files


@pytest.mark.parametrize("opened", ["postgres"], indirect=True)  # SQLite's lie in a folder
class TestBlobs(BlobsSuite):
    @pytest.fixture
    @override
    async def blobs(self, store: Store) -> Blobs:  # pyright: ignore[reportIncompatibleMethodOverride]
        return store.blobs


class TestBatches(BatchSuite):
    @pytest.fixture
    @override
    async def stage(self, store: Store) -> BatchStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return BatchStage(store.batches, store.lines, store.jobs)


class TestDelivery(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock, store: Store) -> Stage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _stage(store, store.delivery(POOL), clock)


class TestTwoStepDelivery(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock, store: Store) -> Stage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _stage(store, two_steps(store.jobs, store.queue, clock), clock)


def _stage(store: Store, delivery: Delivery, clock: ManualClock) -> Stage:
    return Stage(delivery, store.jobs, store.queue, store.audit, clock)


class TestUnreadable(UnreadableSuite):
    @pytest.fixture
    @override
    async def stage(self, opened: Opened, clock: ManualClock) -> UnreadableStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        store = opened.store
        return UnreadableStage(
            clock=clock,
            jobs=store.jobs,
            queue=store.queue,
            delivery=store.delivery(POOL),
            open_jobs=store.open_jobs,
            dead=store.dead_letters,
            retention=store.retention,
            batches=store.batches,
            lines=store.lines,
            streams=store.streams,
            damage=lambda job_id: opened.damage("jobs", job_id),
            damage_batch=lambda batch_id: opened.damage("batches", batch_id),
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
