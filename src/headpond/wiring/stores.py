"""The store: everything durable."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

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
from headpond.settings import PoolSettings, Settings


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
    """The store that `settings.store` names. Raises SettingsError, MissingExtra, Unavailable."""
    match settings.store.partition("://")[0]:
        case "sqlite":
            from headpond.wiring.sqlite import sqlite_store

            opening = sqlite_store(settings)
        case "postgresql":
            try:
                from headpond.wiring.postgres import postgres_store
            except ModuleNotFoundError as error:
                raise MissingExtra("postgres", "A store on PostgreSQL") from error

            opening = postgres_store(settings)
        case _:
            raise SettingsError(f"store: {settings.store!r} names no store that Headpond has.")
    async with opening as store:
        yield store
