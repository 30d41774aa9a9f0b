"""The store in a SQLite file, with files of batches beside it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from headpond.adapters.local.blobs import LocalBlobs
from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.batches import SqliteBatchLines, SqliteBatchStore
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
from headpond.ports.clock import Clock
from headpond.settings import Settings
from headpond.wiring.stores import Store, home_of, sqlite_file
from headpond.wiring.tickets import tickets


@asynccontextmanager
async def sqlite_store(settings: Settings, clock: Clock) -> AsyncGenerator[Store]:
    """Opened, for as long as the context lasts. Raises SettingsError, Unavailable."""
    home = home_of(settings)
    database = Database(sqlite_file(settings))
    database.open()
    try:
        yield sqlite_on(database, clock, home)
    finally:
        await database.close()


def sqlite_on(database: Database, clock: Clock, home: Path) -> Store:
    """On an open database; files lie in `home`."""
    return Store(
        clock=clock,
        jobs=SqliteJobStore(database, clock),
        open_jobs=SqliteOpenJobs(database),
        queue=SqliteQueue(database, clock),
        audit=SqliteAudit(database),
        dead_letters=SqliteDeadLetters(database),
        keys=SqliteKeyStore(database),
        retention=SqliteRetention(database),
        batches=SqliteBatchStore(database),
        lines=SqliteBatchLines(database),
        files=SqliteFileStore(database),
        blobs=LocalBlobs(home / "files"),
        roster=SqliteRoster(database),
        endpoints=SqliteEndpointStore(database),
        outbox=SqliteOutbox(database),
        streams=SqliteTokenStreams(database),
        buckets=MemoryBuckets(clock),
        scaling=SqliteScalingStore(database),
        workload=SqliteWorkload(database),
        delivery=lambda pool: SqliteDelivery(
            database,
            clock=clock,
            new_ticket=tickets(clock),
            lease_s=pool.lease_s,
            max_lost_leases=pool.retry.max_lost_leases,
        ),
    )
