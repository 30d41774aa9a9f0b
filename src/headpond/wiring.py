"""The composition root: the one module that names backends.

Everything else is handed connected ports. What is opened here is closed in the reverse order:
whoever uses a thing is gone before the thing goes. Imports of backends stand where one is chosen,
so that a process loads only what it uses.
"""

import asyncio
import contextlib
import os
import platform
import secrets
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import start_http_server
from starlette.types import ASGIApp

from headpond.adapters.jwks.key_set import key_set_at
from headpond.adapters.local.clock import SystemClock
from headpond.adapters.logs.events import LogListener
from headpond.adapters.logs.setup import configure
from headpond.adapters.openai.engine import OpenAIEngine
from headpond.adapters.prometheus.events import PrometheusListener
from headpond.adapters.webhooks.receiver import HttpReceiver
from headpond.demo.files import EXAMPLE_MODEL, model_file
from headpond.domain.batch import RunnerName
from headpond.domain.catalogue import Catalogue
from headpond.domain.file import BlobName
from headpond.domain.identity import time_ordered_id
from headpond.domain.job import Ticket
from headpond.domain.lane import lanes_of
from headpond.domain.public_address import AddressRule
from headpond.domain.retention import rules
from headpond.errors import SettingsError
from headpond.gateway.app import Parts, create_app
from headpond.gateway.batch_lines import BatchLineFormat
from headpond.ports.audit import Audit
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.dead_letters import DeadLetters
from headpond.ports.delivery import Delivery
from headpond.ports.endpoints import EndpointStore
from headpond.ports.engine import Engine
from headpond.ports.events import Listener
from headpond.ports.files import FileStore
from headpond.ports.jobs import JobStore
from headpond.ports.keys import KeyStore
from headpond.ports.outbox import Outbox
from headpond.ports.queue import Queue
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.services import quotes, reporting
from headpond.services.authentication import Authentication, require_safe_binding
from headpond.services.batch_input import BatchInput
from headpond.services.batch_output import BatchOutput
from headpond.services.batch_runner import BatchRunner
from headpond.services.batches import Batches
from headpond.services.broadcast import Broadcast
from headpond.services.dead_letters import Triage
from headpond.services.desk import Desk
from headpond.services.duty import Duty
from headpond.services.files import Files
from headpond.services.forgetting import Forgetting
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.reaper import Reaper
from headpond.services.reporting import Reporter
from headpond.services.retention import Retainer
from headpond.services.submission import Submission
from headpond.services.teller import Teller
from headpond.services.tokens import Tokens
from headpond.services.webhook_sender import WebhookSender
from headpond.services.webhooks import Webhooks
from headpond.services.worker import Worker
from headpond.settings import PoolSettings, Settings, WorkerSettings

SWEEP_EVERY_S = 60.0


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


@dataclass(frozen=True, slots=True)
class Observers:
    """Who hears the facts of this process: the log, and metrics."""

    listener: Listener
    metrics: PrometheusListener


@dataclass(frozen=True, slots=True)
class Telling:
    """Webhooks for teams, and what makes an attempt."""

    webhooks: Webhooks
    teller: Teller


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Store]:
    """The store that `settings.store` names. Raises SettingsError."""
    clock = SystemClock()
    scheme, _, place = settings.store.partition(":///")
    match scheme:
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

            database = Database(_home(settings) / place)
            database.open()
            try:
                yield Store(
                    clock=clock,
                    jobs=SqliteJobStore(database, clock),
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


@asynccontextmanager
async def open_engine(pool: PoolSettings) -> AsyncGenerator[Engine]:
    """The engine of a pool; an embedded one is started here and lives as long as this does."""
    settings = pool.engine
    async with AsyncExitStack() as stack:
        if settings.url is not None:
            url = settings.url
        else:
            from headpond.adapters.llamacpp.server import LlamaCppServer

            server = LlamaCppServer(
                model_file() if settings.gguf is None else Path(settings.gguf),
                aliases=models_of(pool),
                context_tokens=settings.context_tokens,
                slots=pool.max_in_flight,
                threads=settings.threads,
            )
            stack.push_async_callback(server.stop)
            await server.start()
            stack.push_async_callback(_end, asyncio.create_task(server.watch(), name="engine"))
            url = server.url
        engine = OpenAIEngine(
            urlsplit(url).netloc.rpartition("@")[2],
            url,
            api_key=settings.api_key,
            timeout_s=settings.timeout_s,
            max_connections=pool.max_in_flight,
        )
        stack.push_async_callback(engine.close)
        yield engine


@asynccontextmanager
async def open_webhooks(settings: Settings, store: Store) -> AsyncGenerator[Telling]:
    """Webhooks on this store, and what tells their endpoints."""
    rule = AddressRule(settings.webhooks.allowed_networks, settings.webhooks.allow_http)
    receiver = HttpReceiver(rule, timeout_s=settings.webhooks.timeout_s)
    teller = Teller(receiver, rule, store.clock)
    try:
        webhooks = Webhooks(store.endpoints, store.outbox, teller, rule=rule, clock=store.clock)
        yield Telling(webhooks, teller)
    finally:
        await receiver.close()


@asynccontextmanager
async def open_worker(settings: Settings, pool: str, *, name: str) -> AsyncGenerator[Worker]:
    """A worker of the pool, not started yet. Raises SettingsError, MissingExtra."""
    pool_settings = settings.pools[pool]
    heard = observers()
    async with open_store(settings) as store, open_engine(pool_settings) as engine:
        reporter = Reporter(store.roster, store.clock, worker=name, pool=pool)
        listener = Broadcast((heard.listener, reporter))
        duty = Duty("report", reporter.tick, every_s=reporting.EVERY_S, listener=listener)
        with metrics_page(settings.worker, heard.metrics):
            duty.start()
            try:
                yield Worker(
                    store.delivery(pool_settings),
                    engine,
                    streams=store.streams,
                    name=name,
                    lanes=lanes_of(pool),
                    settings=pool_settings,
                    clock=store.clock,
                    listener=listener,
                )
            finally:
                await duty.stop()


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway as an ASGI app. Call `end_waits` when it should end: nobody is held then."""

    app: ASGIApp
    end_waits: Callable[[], None]


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncGenerator[Gateway]:
    """The gateway, with the reaper and the sender of webhooks beside it.

    Raises SettingsError, MissingExtra.
    """
    heard = observers()
    async with open_store(settings) as store, open_webhooks(settings, store) as telling:
        clock = store.clock
        tokens = _tokens(settings, clock)
        await require_safe_binding(settings.gateway.host, store.keys, tokens=tokens is not None)
        delivery = store.delivery(next(iter(settings.pools.values())))
        catalogue = catalogue_of(settings)
        desk = Desk(store.jobs, clock)
        offers = Quotes(
            store.queue,
            store.roster,
            prices={name: pool.price for name, pool in settings.pools.items()},
            weights=settings.fairness.weights,
            clock=clock,
        )
        submission = Submission(
            delivery,
            jobs=store.jobs,
            pools=settings.pools,
            catalogue=catalogue,
            limits=RateLimits(settings.limits, clock),
            quotes=offers,
            weights=settings.fairness.weights,
            clock=clock,
            listener=heard.listener,
            idempotency_ttl_s=settings.idempotency_ttl_s,
            sdk_retry_window_s=settings.sdk_retry_window_s,
        )
        files = Files(store.files, store.blobs, store.batches, clock)
        parts = Parts(
            settings=settings.gateway,
            submission=submission,
            desk=desk,
            triage=triage_of(settings, store),
            files=files,
            batches=Batches(
                store.batches,
                files,
                clock,
                heard.listener,
                max_open=settings.batches.max_open,
            ),
            max_file_bytes=settings.batches.max_file_bytes,
            authentication=Authentication(store.keys, tokens, clock),
            catalogue=catalogue,
            webhooks=telling.webhooks,
            outbox=store.outbox,
            queue=store.queue,
            streams=store.streams,
            lanes=[lane for pool in settings.pools for lane in lanes_of(pool)],
            clock=clock,
            listener=heard.listener,
            render_metrics=lambda: heard.metrics.render()[0],
        )
        reaper = Reaper(
            store.jobs,
            delivery,
            clock=clock,
            listener=heard.listener,
            accepted_grace_s=settings.reaper.accepted_grace_s,
        )
        kept = settings.retention
        retainer = Retainer(store.retention, rules(kept.keep_s, kept.teams), clock)
        forgetting = Forgetting(store.streams, clock=clock, ttl_s=settings.stream_ttl_s)
        runner = _batch_runner(settings, store, submission, heard.listener)
        duties = (
            Duty("retention", retainer.tick, every_s=kept.every_s, listener=heard.listener),
            Duty("reaper", reaper.tick, every_s=settings.reaper.every_s, listener=heard.listener),
            Duty("forgetting", forgetting.tick, every_s=SWEEP_EVERY_S, listener=heard.listener),
            Duty("quotes", offers.tick, every_s=quotes.EVERY_S, listener=heard.listener),
            Duty("batches", runner.tick, every_s=settings.batches.every_s, listener=heard.listener),
            Duty("files", files.sweep, every_s=SWEEP_EVERY_S, listener=heard.listener),
        )
        sender = WebhookSender(
            store.outbox,
            store.endpoints,
            telling.webhooks,
            telling.teller,
            settings=settings.webhooks,
            clock=clock,
            listener=heard.listener,
        )
        for duty in (*duties, sender):
            duty.start()
        try:
            yield Gateway(create_app(parts), desk.close)
        finally:
            for duty in (*duties, sender):
                await duty.stop()
            await runner.stop()


async def models_at(pool: PoolSettings) -> list[str]:
    """What the pool's server says that it serves; nothing if it does not answer."""
    async with open_engine(pool) as engine:
        return await engine.models()


def observers() -> Observers:
    """New ones, for one process."""
    metrics = PrometheusListener()
    return Observers(Broadcast((metrics, LogListener())), metrics)


def start_logging(settings: Settings) -> None:
    """Send this process's logs where the settings say."""
    configure(settings.log)


@contextlib.contextmanager
def metrics_page(settings: WorkerSettings, metrics: PrometheusListener) -> Generator[None]:
    """Serve a worker's metrics, if the settings name a port. Raises SettingsError."""
    if settings.metrics_port is None:
        yield
        return
    try:
        server, thread = start_http_server(
            settings.metrics_port, settings.metrics_host, metrics.registry
        )
    except OSError as error:
        message = f"worker.metrics_port: cannot listen on {settings.metrics_port}: {error}."
        raise SettingsError(message) from error
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def triage_of(settings: Settings, store: Store) -> Triage:
    """For operators. Nothing is claimed by it, so any pool's delivery will do."""
    return Triage(
        store.dead_letters,
        store.jobs,
        store.delivery(next(iter(settings.pools.values()))),
        store.clock,
        max_redrives=settings.dead_letters.max_redrives,
        per_second=settings.dead_letters.redrive_per_s,
    )


def catalogue_of(settings: Settings) -> Catalogue:
    """Which pool serves which model."""
    return Catalogue({name: models_of(pool) for name, pool in settings.pools.items()})


def models_of(pool: PoolSettings) -> tuple[str, ...]:
    """The models of a pool: those listed, or what its embedded engine serves."""
    match pool:
        case PoolSettings(models=models) if models:
            return models
        case PoolSettings(engine=engine) if engine.url is not None:
            return ()
        case PoolSettings(engine=engine) if engine.gguf is not None:
            return (Path(engine.gguf).stem,)
        case _:
            return (EXAMPLE_MODEL,)


def _home(settings: Settings) -> Path:
    """The data folder, made if need be for this user alone: there are prompts in it."""
    home = Path(settings.home).expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"home: cannot use {home}: {error.strerror}.") from error
    return home


def _tokens(settings: Settings, clock: Clock) -> Tokens | None:
    jwt = settings.auth.jwt
    return None if jwt is None else Tokens(jwt, key_set_at(jwt.jwks), clock)


def _new_ticket(clock: Clock) -> Ticket:
    return Ticket(time_ordered_id(clock.now(), secrets.randbits(74)))


def _batch_runner(
    settings: Settings, store: Store, submission: Submission, listener: Listener
) -> BatchRunner:
    form = BatchLineFormat(settings.gateway)
    source = BatchInput(
        store.files,
        store.blobs,
        submission,
        form=form,
        clock=store.clock,
        max_line_bytes=settings.gateway.max_body_bytes,
    )
    return BatchRunner(
        store.batches,
        store.lines,
        store.jobs,
        source=source,
        output=BatchOutput(
            source,
            store.lines,
            store.files,
            store.blobs,
            form=form,
            clock=store.clock,
            new_name=lambda: BlobName("results-" + secrets.token_hex(16)),
        ),
        submission=submission,
        name=RunnerName(f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"),
        clock=store.clock,
        listener=listener,
        settings=settings.batches,
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
