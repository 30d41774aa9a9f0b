"""The store: everything durable."""

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from headpond.adapters.local.clock import SystemClock
from headpond.domain.identity import time_ordered_id
from headpond.domain.job import Ticket
from headpond.errors import SettingsError
from headpond.ports.audit import Audit
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.blobs import Blobs
from headpond.ports.buckets import Buckets
from headpond.ports.clock import Clock
from headpond.ports.dead_letters import DeadLetters
from headpond.ports.delivery import Delivery
from headpond.ports.endpoints import EndpointStore
from headpond.ports.files import FileStore
from headpond.ports.jobs import JobStore, OpenJobs
from headpond.ports.keys import KeyStore
from headpond.ports.outbox import Outbox
from headpond.ports.queue import MessageLookup, Queue
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.settings import PoolSettings, Settings
from headpond.wiring.elsewhere import Elsewhere, open_elsewhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Everything durable. `delivery` connects a pool, whose leases have the pool's length.

    `lookup` is the queue's power to say what it lost, None for one that loses nothing.
    """

    clock: Clock
    jobs: JobStore
    open_jobs: OpenJobs
    queue: Queue
    lookup: MessageLookup | None = None
    audit: Audit
    dead_letters: DeadLetters
    keys: KeyStore
    retention: Retention
    batches: BatchStore
    lines: BatchLines
    files: FileStore
    blobs: Blobs
    roster: Roster
    endpoints: EndpointStore
    outbox: Outbox
    streams: TokenStreams
    buckets: Buckets
    delivery: Callable[[PoolSettings], Delivery]


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Store]:
    """The store, with what the settings put elsewhere. Raises SettingsError, MissingExtra."""
    async with (
        _open_alone(settings) as store,
        open_elsewhere(settings, store.clock, store.jobs) as elsewhere,
    ):
        yield _with(store, elsewhere)


def _with(store: Store, elsewhere: Elsewhere) -> Store:
    store = replace(
        store,
        buckets=elsewhere.buckets or store.buckets,
        streams=elsewhere.streams or store.streams,
    )
    queue = elsewhere.queue
    if queue is None:
        return store

    def delivery(pool: PoolSettings) -> Delivery:
        return TwoStepDelivery(
            store.jobs,
            queue,
            clock=store.clock,
            new_ticket=lambda: _new_ticket(store.clock),
            lease_s=pool.lease_s,
            max_lost_leases=pool.retry.max_lost_leases,
        )

    return replace(store, queue=queue, lookup=queue, delivery=delivery)


@asynccontextmanager
async def _open_alone(settings: Settings) -> AsyncGenerator[Store]:
    """The store that `settings.store` names."""
    clock = SystemClock()
    scheme, _, place = settings.store.partition(":///")
    match scheme:
        case "sqlite":
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
            from headpond.adapters.sqlite.streams import SqliteTokenStreams

            database = Database(_home(settings) / place)
            database.open()
            try:
                yield Store(
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
                    blobs=LocalBlobs(_home(settings) / "files"),
                    roster=SqliteRoster(database),
                    endpoints=SqliteEndpointStore(database),
                    outbox=SqliteOutbox(database),
                    streams=SqliteTokenStreams(database),
                    buckets=MemoryBuckets(clock),
                    delivery=lambda pool: SqliteDelivery(
                        database,
                        clock=clock,
                        new_ticket=lambda: _new_ticket(clock),
                        lease_s=pool.lease_s,
                        max_lost_leases=pool.retry.max_lost_leases,
                    ),
                )
            finally:
                await database.close()
        case _:
            raise SettingsError(f"store: {settings.store!r} names no store that Headpond has.")


def _home(settings: Settings) -> Path:
    """The data folder, made if need be for this user alone: there are prompts in it."""
    home = Path(settings.home).expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"home: cannot use {home}: {error.strerror}.") from error
    return home


def _new_ticket(clock: Clock) -> Ticket:
    return Ticket(time_ordered_id(clock.now(), secrets.randbits(74)))
