"""The store in one PostgreSQL database, files included."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.adapters.postgres.audit import PostgresAudit
from headpond.adapters.postgres.batches import PostgresBatchLines, PostgresBatchStore
from headpond.adapters.postgres.blobs import PostgresBlobs
from headpond.adapters.postgres.connection import Limits
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
from headpond.ports.clock import Clock
from headpond.settings import Settings
from headpond.wiring.stores import Store
from headpond.wiring.tickets import tickets


@asynccontextmanager
async def postgres_store(settings: Settings, clock: Clock) -> AsyncGenerator[Store]:
    """Opened, for as long as the context lasts. Raises SettingsError, Unavailable."""
    database = Database(
        settings.store,
        connections=settings.postgres.connections,
        limits=Limits(
            connect_s=settings.postgres.connect_timeout_s,
            statement_s=settings.postgres.statement_timeout_s,
        ),
    )
    try:
        await database.open()
        yield postgres_on(database, clock)
    finally:
        await database.close()


def postgres_on(database: Database, clock: Clock) -> Store:
    """On an open database."""
    return Store(
        clock=clock,
        jobs=PostgresJobStore(database, clock),
        open_jobs=PostgresOpenJobs(database),
        queue=PostgresQueue(database, clock),
        audit=PostgresAudit(database),
        dead_letters=PostgresDeadLetters(database),
        keys=PostgresKeyStore(database),
        retention=PostgresRetention(database),
        batches=PostgresBatchStore(database),
        lines=PostgresBatchLines(database),
        files=PostgresFileStore(database),
        blobs=PostgresBlobs(database, clock),
        roster=PostgresRoster(database),
        endpoints=PostgresEndpointStore(database),
        outbox=PostgresOutbox(database),
        streams=PostgresTokenStreams(database),
        buckets=MemoryBuckets(clock),
        scaling=PostgresScalingStore(database),
        workload=PostgresWorkload(database),
        delivery=lambda pool: PostgresDelivery(
            database,
            clock=clock,
            new_ticket=tickets(clock),
            lease_s=pool.lease_s,
            max_lost_leases=pool.retry.max_lost_leases,
        ),
    )
