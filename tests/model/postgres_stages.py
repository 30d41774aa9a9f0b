"""The PostgreSQL adapters for random histories, in a database that is emptied for each."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

from hypothesis.stateful import RuleBasedStateMachine
from typing_extensions import override

from headpond.adapters.postgres.audit import PostgresAudit
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.delivery import PostgresDelivery
from headpond.adapters.postgres.jobs import PostgresJobStore
from headpond.adapters.postgres.queue import PostgresQueue
from headpond.domain.job import Ticket
from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_histories import DeliveryHistories
from headpond.testing.delivery_suite import LEASE_S, MAX_LOST_LEASES, Stage
from headpond.testing.queue_histories import QueueHistories
from tests.postgres import PostgresServer, emptied


class OnPostgres:
    """Where the server is; each test sets it on a subclass."""

    url: str

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[Database]:
        opened = Database(self.url, connections=1)
        await opened.open()
        await emptied(opened)
        yield opened
        await opened.close()


class PostgresQueueHistories(OnPostgres, QueueHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Queue]:
        async with self.database() as opened:
            yield PostgresQueue(opened, clock)


class PostgresDeliveryHistories(OnPostgres, DeliveryHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[Stage]:
        tickets = count(1)
        async with self.database() as opened:
            delivery = PostgresDelivery(
                opened,
                clock=clock,
                new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
                lease_s=LEASE_S,
                max_lost_leases=MAX_LOST_LEASES,
            )
            jobs, queue = PostgresJobStore(opened, clock), PostgresQueue(opened, clock)
            yield Stage(delivery, jobs, queue, PostgresAudit(opened), clock)


def on(server: PostgresServer, machine: type[OnPostgres]) -> type[RuleBasedStateMachine]:
    """The machine, on this server."""
    placed = type(machine.__name__, (machine,), {"url": server.url})
    assert issubclass(placed, RuleBasedStateMachine)
    return placed
