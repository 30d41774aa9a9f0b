"""The Redis adapters for random histories, beside the jobs of other stores."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.ports.audit import Audit
from headpond.ports.jobs import JobStore
from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_histories import DeliveryHistories
from headpond.testing.delivery_suite import Stage, two_steps
from headpond.testing.queue_histories import QueueHistories
from tests.model.sqlite_stages import database
from tests.redis_server import Daemon


@asynccontextmanager
async def emptied(valkey: Daemon) -> AsyncGenerator[InlineServer]:
    """A connection to the server, which has forgotten everything."""
    server = InlineServer(valkey.empty().url)
    yield server
    server.close()


def stage(jobs: JobStore, queue: Queue, audit: Audit, clock: ManualClock) -> Stage:
    """Two steps on these."""
    delivery = two_steps(jobs, queue, clock)
    return Stage(delivery, jobs, queue, audit, clock)


def queue_histories(valkey: Daemon) -> type[QueueHistories]:
    class RedisQueueHistories(QueueHistories):
        @override
        @asynccontextmanager
        async def backend(self, clock: ManualClock) -> AsyncGenerator[Queue]:
            async with emptied(valkey) as server:
                yield RedisQueue(server, clock)

    return RedisQueueHistories


def memory_jobs_histories(valkey: Daemon) -> type[DeliveryHistories]:
    class MemoryJobsHistories(DeliveryHistories):
        @override
        @asynccontextmanager
        async def backend(self, clock: ManualClock) -> AsyncGenerator[Stage]:
            jobs = MemoryJobStore(clock)
            async with emptied(valkey) as server:
                yield stage(jobs, RedisQueue(server, clock), MemoryAudit(jobs), clock)

    return MemoryJobsHistories


def sqlite_jobs_histories(valkey: Daemon) -> type[DeliveryHistories]:
    class SqliteJobsHistories(DeliveryHistories):
        @override
        @asynccontextmanager
        async def backend(self, clock: ManualClock) -> AsyncGenerator[Stage]:
            async with database() as opened, emptied(valkey) as server:
                jobs, audit = SqliteJobStore(opened, clock), SqliteAudit(opened)
                yield stage(jobs, RedisQueue(server, clock), audit, clock)

    return SqliteJobsHistories
