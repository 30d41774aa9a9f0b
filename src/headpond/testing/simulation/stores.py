"""The stores that worlds can be built on; a backend's author adds one of the same shape."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.queue import SqliteQueue
from headpond.adapters.sqlite.roster import SqliteRoster
from headpond.adapters.sqlite.streams import SqliteTokenStreams
from headpond.domain.job import Ticket
from headpond.ports.audit import Audit
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.jobs import JobStore
from headpond.ports.queue import Queue
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.settings import PoolSettings


@dataclass(frozen=True)
class Store:
    """Everything durable in one world. Without a delivery of its own, it is made of two steps."""

    jobs: JobStore
    queue: Queue
    audit: Audit
    roster: Roster
    streams: TokenStreams
    delivery: Delivery | None = None


OpenStore = Callable[
    [Clock, PoolSettings, Callable[[], Ticket]], AbstractAsyncContextManager[Store]
]
"""An empty store on this clock, for a pool with these settings, with this source of tickets."""


@asynccontextmanager
async def memory(
    clock: Clock, pool: PoolSettings, new_ticket: Callable[[], Ticket]
) -> AsyncGenerator[Store]:
    """Queue and records apart, so that everything can fall between them."""
    del pool, new_ticket
    jobs = MemoryJobStore(clock)
    yield Store(
        jobs, MemoryQueue(clock), MemoryAudit(jobs), MemoryRoster(), MemoryTokenStreams(jobs)
    )


@asynccontextmanager
async def sqlite(
    clock: Clock, pool: PoolSettings, new_ticket: Callable[[], Ticket]
) -> AsyncGenerator[Store]:
    """One database, each verb of the delivery one transaction."""
    database = Database(Path(":memory:"), inline=True)
    database.open()
    try:
        yield Store(
            SqliteJobStore(database, clock),
            SqliteQueue(database, clock),
            SqliteAudit(database),
            SqliteRoster(database),
            SqliteTokenStreams(database),
            SqliteDelivery(
                database,
                clock=clock,
                new_ticket=new_ticket,
                lease_s=pool.lease_s,
                max_lost_leases=pool.retry.max_lost_leases,
            ),
        )
    finally:
        await database.close()


STORES: dict[str, OpenStore] = {"memory": memory, "sqlite": sqlite}
