"""The stores that worlds can be built on; a backend's author adds one of the same shape."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.batches import MemoryBatchLines, MemoryBatchStore
from headpond.adapters.memory.dead_letters import MemoryDeadLetters
from headpond.adapters.memory.endpoints import MemoryEndpointStore
from headpond.adapters.memory.files import MemoryBlobs, MemoryFileStore
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.retention import MemoryRetention
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.batches import SqliteBatchLines, SqliteBatchStore
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.dead_letters import SqliteDeadLetters
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.endpoints import SqliteEndpointStore
from headpond.adapters.sqlite.files import SqliteFileStore
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.outbox import SqliteOutbox
from headpond.adapters.sqlite.queue import SqliteQueue
from headpond.adapters.sqlite.retention import SqliteRetention
from headpond.adapters.sqlite.roster import SqliteRoster
from headpond.adapters.sqlite.streams import SqliteTokenStreams
from headpond.domain.job import Ticket
from headpond.ports.audit import Audit
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.dead_letters import DeadLetters
from headpond.ports.delivery import Delivery
from headpond.ports.endpoints import EndpointStore
from headpond.ports.files import FileStore
from headpond.ports.jobs import JobStore, OpenJobs
from headpond.ports.outbox import Outbox
from headpond.ports.queue import MessageLookup, Queue
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.settings import PoolSettings


@dataclass(frozen=True, kw_only=True)
class Store:
    """Everything durable in one world. Without a delivery of its own, it is made of two steps.

    With `open_jobs` and `lookup` the queue is one that may lose what it acknowledged.
    """

    jobs: JobStore
    queue: Queue
    audit: Audit
    roster: Roster
    streams: TokenStreams
    dead_letters: DeadLetters
    retention: Retention
    batches: BatchStore
    lines: BatchLines
    files: FileStore
    blobs: Blobs
    endpoints: EndpointStore
    outbox: Outbox
    delivery: Delivery | None = None
    open_jobs: OpenJobs | None = None
    lookup: MessageLookup | None = None


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
    outbox = MemoryOutbox()
    jobs, batches = MemoryJobStore(clock, outbox), MemoryBatchStore(outbox)
    queue = MemoryQueue(clock)
    yield Store(
        jobs=jobs,
        queue=queue,
        audit=MemoryAudit(jobs),
        roster=MemoryRoster(),
        streams=MemoryTokenStreams(jobs),
        dead_letters=MemoryDeadLetters(jobs),
        retention=MemoryRetention(jobs, batches),
        batches=batches,
        lines=MemoryBatchLines(jobs),
        files=MemoryFileStore(),
        blobs=MemoryBlobs(clock),
        endpoints=MemoryEndpointStore(outbox),
        outbox=outbox,
        open_jobs=jobs,
        lookup=queue,
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
            jobs=SqliteJobStore(database, clock),
            queue=SqliteQueue(database, clock),
            audit=SqliteAudit(database),
            roster=SqliteRoster(database),
            streams=SqliteTokenStreams(database),
            dead_letters=SqliteDeadLetters(database),
            retention=SqliteRetention(database),
            batches=SqliteBatchStore(database),
            lines=SqliteBatchLines(database),
            files=SqliteFileStore(database),
            blobs=MemoryBlobs(clock),
            endpoints=SqliteEndpointStore(database),
            outbox=SqliteOutbox(database),
            delivery=SqliteDelivery(
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
