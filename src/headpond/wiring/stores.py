"""The store: everything durable."""

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from headpond.adapters.local.clock import SystemClock
from headpond.domain.identity import time_ordered_id
from headpond.domain.job import Ticket
from headpond.errors import MissingExtra, SettingsError
from headpond.ports.audit import Audit
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.dead_letters import DeadLetters
from headpond.ports.delivery import Delivery
from headpond.ports.endpoints import EndpointStore
from headpond.ports.files import FileStore
from headpond.ports.jobs import JobStore
from headpond.ports.keys import KeyStore
from headpond.ports.outbox import Outbox
from headpond.ports.queue import Queue
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.settings import PoolSettings, Settings
from headpond.wiring.queues import open_queue


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Everything durable. `delivery` connects a pool, whose leases have the pool's length."""

    clock: Clock
    jobs: JobStore
    queue: Queue
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
    delivery: Callable[[PoolSettings], Delivery]


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Store]:
    """The store that `settings.store` names, with the queue that `settings.queue` names, if any.

    Raises SettingsError and MissingExtra.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        queue = None
        if settings.queue is not None:
            queue = await stack.enter_async_context(open_queue(settings.queue, clock))
        yield await stack.enter_async_context(_open(settings, clock, queue))


@asynccontextmanager
async def _open(settings: Settings, clock: Clock, queue: Queue | None) -> AsyncGenerator[Store]:
    match settings.store.partition("://")[0]:
        case "sqlite":
            from headpond.adapters.local.blobs import LocalBlobs
            from headpond.adapters.sqlite.audit import SqliteAudit
            from headpond.adapters.sqlite.batches import SqliteBatchLines, SqliteBatchStore
            from headpond.adapters.sqlite.database import Database
            from headpond.adapters.sqlite.dead_letters import SqliteDeadLetters
            from headpond.adapters.sqlite.delivery import SqliteDelivery
            from headpond.adapters.sqlite.endpoints import SqliteEndpointStore
            from headpond.adapters.sqlite.files import SqliteFileStore
            from headpond.adapters.sqlite.jobs import SqliteJobStore
            from headpond.adapters.sqlite.keys import SqliteKeyStore
            from headpond.adapters.sqlite.outbox import SqliteOutbox
            from headpond.adapters.sqlite.queue import SqliteQueue
            from headpond.adapters.sqlite.retention import SqliteRetention
            from headpond.adapters.sqlite.roster import SqliteRoster
            from headpond.adapters.sqlite.streams import SqliteTokenStreams

            database = Database(_home(settings) / settings.store.partition(":///")[2])
            database.open()
            jobs = SqliteJobStore(database, clock)
            try:
                yield Store(
                    clock=clock,
                    jobs=jobs,
                    queue=queue or SqliteQueue(database, clock),
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
                    delivery=two_steps(jobs, queue, clock)
                    if queue is not None
                    else lambda pool: SqliteDelivery(
                        database,
                        clock=clock,
                        new_ticket=lambda: _new_ticket(clock),
                        lease_s=pool.lease_s,
                        max_lost_leases=pool.retry.max_lost_leases,
                    ),
                )
            finally:
                await database.close()
        case "dynamodb" if queue is not None:
            from headpond.adapters.local.blobs import LocalBlobs

            try:
                from headpond.wiring.aws import dynamodb_store
            except ImportError as error:
                raise MissingExtra("aws", "A store in DynamoDB") from error

            async with dynamodb_store(
                settings.store, clock, queue, blobs=LocalBlobs(_home(settings) / "files")
            ) as store:
                yield store
        case _:
            raise SettingsError(f"store: {settings.store!r} names no store that Headpond has.")


def two_steps(jobs: JobStore, queue: Queue, clock: Clock) -> Callable[[PoolSettings], Delivery]:
    """Delivery for pools, of a job store and a queue that is elsewhere."""
    return lambda pool: TwoStepDelivery(
        jobs,
        queue,
        clock=clock,
        new_ticket=lambda: _new_ticket(clock),
        lease_s=pool.lease_s,
        max_lost_leases=pool.retry.max_lost_leases,
    )


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
