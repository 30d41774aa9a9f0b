"""The SQLite adapters for random histories: inline, in a database that lies in memory."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from typing_extensions import override

from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.queue import SqliteQueue
from headpond.domain.job import Ticket
from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_histories import DeliveryHistories
from headpond.testing.delivery_suite import LEASE_S, MAX_LOST_LEASES, Stage, two_steps
from headpond.testing.queue_histories import QueueHistories


@asynccontextmanager
async def database() -> AsyncGenerator[Database]:
    opened = Database(Path(":memory:"), inline=True)
    opened.open()
    yield opened
    await opened.close()


class SqliteQueueHistories(QueueHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Queue]:
        async with database() as opened:
            yield SqliteQueue(opened, clock)


class SqliteDeliveryHistories(DeliveryHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Stage]:
        tickets = count(1)
        async with database() as opened:
            delivery = SqliteDelivery(
                opened,
                clock=clock,
                new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
                lease_s=LEASE_S,
                max_lost_leases=MAX_LOST_LEASES,
            )
            jobs, queue = SqliteJobStore(opened, clock), SqliteQueue(opened, clock)
            yield Stage(delivery, jobs, queue, SqliteAudit(opened), clock)


class TwoStepsOnSqliteHistories(DeliveryHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Stage]:
        async with database() as opened:
            jobs, queue = SqliteJobStore(opened, clock), SqliteQueue(opened, clock)
            delivery = two_steps(jobs, queue, clock)
            yield Stage(delivery, jobs, queue, SqliteAudit(opened), clock)
