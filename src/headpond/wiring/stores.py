"""The store: everything durable."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from headpond.adapters.local.clock import SystemClock
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
from headpond.ports.leftovers import Leftovers
from headpond.ports.objects import ObjectStore
from headpond.ports.outbox import Outbox
from headpond.ports.queue import DeadLetterQueue, MessageLookup, Queue
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.scaling import ScalingStore
from headpond.ports.streams import TokenStreams
from headpond.ports.workload import Workload
from headpond.services.counted_queue import CountedQueue
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.settings import PoolSettings, Settings
from headpond.wiring.elsewhere import ApartQueue, Elsewhere
from headpond.wiring.extras import require_for
from headpond.wiring.tickets import tickets


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Everything durable. `delivery` connects a pool, whose leases have the pool's length.

    `lookup` is the queue's power to say what it lost, `set_aside` that to set aside, `unseen_s`
    that of `Queue`. One that loses nothing has none of them; then `open_jobs` are not needed, and a
    store may not have them. `body_bytes` is the largest body that there is room for, None if that
    is no limit. `leftovers` are None where nothing can be left.
    """

    clock: Clock
    jobs: JobStore
    open_jobs: OpenJobs
    queue: Queue
    lookup: MessageLookup | None = None
    set_aside: DeadLetterQueue | None = None
    unseen_s: float | None = None
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
    scaling: ScalingStore
    workload: Workload
    delivery: Callable[[PoolSettings], Delivery]
    body_bytes: int | None = None
    leftovers: Leftovers | None = None


@asynccontextmanager
async def open_store(settings: Settings, *, make: bool = True) -> AsyncGenerator[Store]:
    """The store, with what the settings put elsewhere. Raises SettingsError, MissingExtra.

    Without `make`, a file that is not there is an error: who looks finds nothing in a new one.
    """
    if not make:
        _require_file(settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        elsewhere = Elsewhere(settings, clock, stack)
        apart = await elsewhere.queue()
        objects = await elsewhere.objects()
        store = await stack.enter_async_context(_open(settings, clock, apart, objects))
        if apart is not None:
            counted = CountedQueue(apart.queue, store.workload)
            stack.push_async_callback(counted.close)
            store = replace(
                store,
                queue=counted,
                lookup=apart.lookup,
                set_aside=apart.dead_letters,
                unseen_s=apart.queue.unseen_s,
                delivery=two_steps(store.jobs, counted, clock),
            )
        yield replace(
            store,
            streams=await elsewhere.streams(store.jobs) or store.streams,
            buckets=await elsewhere.buckets() or store.buckets,
            blobs=await elsewhere.blobs() or store.blobs,
        )


def _open(
    settings: Settings, clock: Clock, apart: ApartQueue | None, objects: ObjectStore | None
) -> AbstractAsyncContextManager[Store]:
    """What `settings.store` names; a store without a queue of its own takes the one apart.

    One of documents puts large bodies into `objects`.
    """
    require_for(settings.store)
    match settings.store.partition("://")[0]:
        case "sqlite":
            from headpond.wiring.sqlite import sqlite_store

            return sqlite_store(settings, clock)
        case "postgresql":
            from headpond.wiring.postgres import postgres_store

            return postgres_store(settings, clock)
        case "dynamodb" if apart is not None:
            from headpond.wiring.documents import dynamodb_store

            return dynamodb_store(settings, clock, apart.queue, objects)
        case "firestore" if apart is not None:
            from headpond.wiring.documents import firestore_store

            return firestore_store(settings, clock, apart.queue, objects)
        case "cosmos" if apart is not None:
            from headpond.wiring.documents import cosmos_store

            return cosmos_store(settings, clock, apart.queue, objects)
        case _:
            raise SettingsError(f"store: {settings.store!r} names no store that Headpond has.")


def two_steps(jobs: JobStore, queue: Queue, clock: Clock) -> Callable[[PoolSettings], Delivery]:
    """Delivery for pools, of a job store and a queue that is elsewhere."""
    return lambda pool: TwoStepDelivery(
        jobs,
        queue,
        clock=clock,
        new_ticket=tickets(clock),
        lease_s=pool.lease_s,
        max_lost_leases=pool.retry.max_lost_leases,
    )


def _require_file(settings: Settings) -> None:
    file = sqlite_file(settings)
    if settings.store.startswith("sqlite:") and not file.exists():
        raise SettingsError(
            f"There is no store at {file}. --home or HEADPOND_HOME says in which folder it is; "
            "the first start of a gateway makes one."
        )


def sqlite_file(settings: Settings) -> Path:
    """Where a store in SQLite lies."""
    return _home(settings) / settings.store.removeprefix("sqlite:///")


def home_of(settings: Settings) -> Path:
    """The data folder, made if need be for this user alone: there are prompts in it."""
    home = _home(settings)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"home: cannot use {home}: {error.strerror}.") from error
    return home


def _home(settings: Settings) -> Path:
    return Path(settings.home).expanduser()
