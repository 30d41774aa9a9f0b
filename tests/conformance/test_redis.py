"""The Redis adapters keep the contracts on real servers, over asyncio and inline."""

from collections.abc import AsyncGenerator, Generator

import pytest
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.redis.buckets import RedisBuckets
from headpond.adapters.redis.cache import RedisAnswerCache
from headpond.adapters.redis.cluster import RedisClusterServer
from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.redis.server import RedisServer, Server
from headpond.adapters.redis.streams import RedisTokenStreams
from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.ports.audit import Audit
from headpond.ports.jobs import JobStore
from headpond.testing.buckets_suite import BucketsSuite, BucketStage
from headpond.testing.cache_suite import AnswerCacheSuite, CacheStage
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_suite import DeliverySuite, Stage
from headpond.testing.fair_queue_suite import FairQueueSuite
from headpond.testing.message_lookup_suite import MessageLookupSuite
from headpond.testing.streams_suite import Stage as StreamStage
from headpond.testing.streams_suite import TokenStreamsSuite
from tests.model.redis_stages import stage
from tests.model.sqlite_stages import database
from tests.redis_server import Daemon, running_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Daemon]]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture(params=["redis", "valkey", "valkey inline", "cluster"])
async def server(request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    kind, _, inlined = request.param.partition(" ")
    found: Daemon | list[Daemon] = request.getfixturevalue(kind)
    if inlined:
        assert isinstance(found, Daemon)
        inline = InlineServer(found.url)
        yield inline
        inline.close()
        return
    if isinstance(found, Daemon):
        connected = RedisServer(found.url)
    else:
        for node in found:
            node.empty()
        connected = RedisClusterServer(found[0].url)
    yield connected
    await connected.close()


class TestRedisQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock, server: Server) -> RedisQueue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return RedisQueue(server, clock)


class TestRedisMessageLookup(MessageLookupSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock, server: Server) -> RedisQueue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return RedisQueue(server, clock)


class TestRedisBuckets(BucketsSuite):
    @pytest.fixture
    @override
    async def stage(self, server: Server) -> BucketStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock, other_clock = ManualClock(), ManualClock()
        one, other = RedisBuckets(server, clock), RedisBuckets(server, other_clock)
        return BucketStage(one, other, clock, other_clock)


class TestRedisTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self, server: Server) -> StreamStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        jobs = MemoryJobStore(ManualClock())
        return StreamStage(RedisTokenStreams(server, jobs), jobs)


@pytest.fixture
async def inline(valkey: Daemon) -> AsyncGenerator[Server]:
    server = InlineServer(valkey.url)
    yield server
    server.close()


@pytest.fixture(params=["memory", "sqlite"])
async def records(
    clock: ManualClock, request: pytest.FixtureRequest
) -> AsyncGenerator[tuple[JobStore, Audit]]:
    """A job store that knows nothing of the queue."""
    if request.param == "memory":
        jobs = MemoryJobStore(clock)
        yield jobs, MemoryAudit(jobs)
    else:
        async with database() as opened:
            yield SqliteJobStore(opened, clock), SqliteAudit(opened)


class TestTwoStepsOnRedis(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, clock: ManualClock, inline: Server, records: tuple[JobStore, Audit]
    ) -> Stage:
        jobs, audit = records
        return stage(jobs, RedisQueue(inline, clock), audit, clock)


class TestRedisAnswerCache(AnswerCacheSuite):
    @pytest.fixture
    @override
    async def stage(self, server: Server) -> CacheStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock = ManualClock()
        one, other = RedisAnswerCache(server, clock), RedisAnswerCache(server, clock)
        return CacheStage(one, other, clock, bounded=False)
