"""The gateway, and the duties beside it."""

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from headpond.adapters.jwks.key_set import key_set_at
from headpond.domain.batch import RunnerName
from headpond.domain.file import BlobName
from headpond.domain.lane import Lane, lanes_of
from headpond.domain.retention import rules
from headpond.gateway.app import Parts, create_app
from headpond.gateway.batch_lines import BatchLineFormat
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.leftovers import Leftovers
from headpond.services import quotes
from headpond.services.archivist import Archivist
from headpond.services.authentication import Authentication, require_safe_binding
from headpond.services.batch_input import BatchInput
from headpond.services.batch_output import BatchOutput
from headpond.services.batch_runner import BatchRunner
from headpond.services.batches import Batches
from headpond.services.body_eraser import BodyEraser
from headpond.services.desk import Desk
from headpond.services.duty import Duty
from headpond.services.files import Files
from headpond.services.lost_messages import LostMessages
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.reaper import Reaper
from headpond.services.submission import Submission
from headpond.services.token_forgetter import TokenForgetter
from headpond.services.tokens import Tokens
from headpond.services.undelivered_messages import UndeliveredMessages
from headpond.services.unseen_messages import UnseenMessages
from headpond.services.webhook_sender import WebhookSender
from headpond.settings import Settings
from headpond.wiring.archives import archivist_of
from headpond.wiring.engines import catalogue_of
from headpond.wiring.observers import observers
from headpond.wiring.stores import Store, open_store
from headpond.wiring.triage import triage_of
from headpond.wiring.webhooks import Telling, open_webhooks

TIDY_EVERY_S = 60.0
SWEPT_AT_ONCE = 64
SWEEP_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway as an ASGI app. Call `end_waits` when it should end: nobody is held then."""

    app: ASGIApp
    end_waits: Callable[[], None]


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncGenerator[Gateway]:
    """The gateway with its duties: reaper, batches, webhooks, retention.

    Raises SettingsError, MissingExtra.
    """
    heard = observers()
    async with open_store(settings) as store, open_webhooks(settings, store) as telling:
        tokens = _tokens(settings, store.clock)
        await require_safe_binding(settings.gateway.host, store.keys, tokens=tokens is not None)
        delivery = store.delivery(next(iter(settings.pools.values())))
        offers = _quotes(settings, store)
        submission = _submission(settings, store, delivery, offers, heard.listener)
        archivist = await archivist_of(settings, store)
        desk = Desk(store.jobs, store.clock)
        files = Files(
            store.files,
            store.blobs,
            store.batches,
            store.clock,
            max_team_bytes=settings.batches.max_team_bytes,
        )
        runner = _batch_runner(settings, store, submission, heard.listener)
        parts = Parts(
            settings=settings.gateway,
            submission=submission,
            desk=desk,
            triage=triage_of(settings, store),
            files=files,
            batches=Batches(
                store.batches,
                files,
                store.clock,
                heard.listener,
                max_open=settings.batches.max_open,
            ),
            max_file_bytes=settings.batches.max_file_bytes,
            authentication=Authentication(store.keys, tokens, store.clock),
            catalogue=catalogue_of(settings),
            webhooks=telling.webhooks,
            outbox=store.outbox,
            queue=store.queue,
            streams=store.streams,
            lanes=_lanes(settings),
            clock=store.clock,
            listener=heard.listener,
            render_metrics=lambda: heard.metrics.render()[0],
        )
        duties = (
            *_duties(settings, store, delivery, archivist, heard.listener),
            *_archive(settings, archivist, heard.listener),
            Duty("quotes", offers.tick, every_s=quotes.EVERY_S, listener=heard.listener),
            Duty("batches", runner.tick, every_s=settings.batches.every_s, listener=heard.listener),
            Duty("files", files.remove_old, every_s=TIDY_EVERY_S, listener=heard.listener),
            _webhook_sender(settings, store, telling, heard.listener),
        )
        for duty in duties:
            duty.start()
        try:
            yield Gateway(create_app(parts), desk.close)
        finally:
            for duty in duties:
                await duty.stop()
            await runner.stop()


def _lanes(settings: Settings) -> list[Lane]:
    return [lane for pool in settings.pools for lane in lanes_of(pool)]


def _quotes(settings: Settings, store: Store) -> Quotes:
    return Quotes(
        store.queue,
        store.roster,
        prices={name: pool.price for name, pool in settings.pools.items()},
        weights=settings.fairness.weights,
        clock=store.clock,
    )


def _submission(
    settings: Settings, store: Store, delivery: Delivery, offers: Quotes, listener: Listener
) -> Submission:
    return Submission(
        delivery,
        jobs=store.jobs,
        pools=settings.pools,
        catalogue=catalogue_of(settings),
        limits=RateLimits(settings.limits, store.buckets),
        quotes=offers,
        weights=settings.fairness.weights,
        clock=store.clock,
        listener=listener,
        idempotency_ttl_s=settings.idempotency_ttl_s,
        sdk_retry_window_s=settings.sdk_retry_window_s,
        max_request_bytes=store.body_bytes,
    )


def _archive(
    settings: Settings, archivist: Archivist | None, listener: Listener
) -> tuple[Duty, ...]:
    if archivist is None:
        return ()
    every_s = settings.archive.every_s
    return (Duty("archive", archivist.tick, every_s=every_s, listener=listener),)


def _duties(
    settings: Settings,
    store: Store,
    delivery: Delivery,
    archivist: Archivist | None,
    listener: Listener,
) -> tuple[Duty, ...]:
    """What looks after records, wherever they came from."""
    reaper = Reaper(
        store.jobs,
        delivery,
        clock=store.clock,
        listener=listener,
        accepted_grace_s=settings.reaper.accepted_grace_s,
    )
    kept = settings.retention
    eraser = BodyEraser(store.retention, rules(kept.keep_s, kept.teams), store.clock, archivist)
    forgetter = TokenForgetter(store.streams, clock=store.clock, ttl_s=settings.stream_ttl_s)
    return (
        *_search(settings, store, delivery, listener),
        *_sweep(store, listener),
        Duty("reaper", reaper.tick, every_s=settings.reaper.every_s, listener=listener),
        Duty("old bodies", eraser.tick, every_s=kept.every_s, listener=listener),
        Duty("old tokens", forgetter.tick, every_s=TIDY_EVERY_S, listener=listener),
    )


def _search(
    settings: Settings, store: Store, delivery: Delivery, listener: Listener
) -> tuple[Duty, ...]:
    """For what the queue lost, if it can lose something: by asking it, or by the time.

    And for what it has set aside.
    """
    if store.lookup is not None:
        lost = LostMessages(store.open_jobs, store.lookup, delivery, listener)
        every_s = settings.reaper.every_s
        return (Duty("lost messages", lost.tick, every_s=every_s, listener=listener),)
    if store.unseen_s is not None:
        unseen = UnseenMessages(
            store.open_jobs,
            delivery,
            clock=store.clock,
            listener=listener,
            unseen_s=settings.reaper.unseen_s or store.unseen_s,
        )
        return (
            Duty("unseen messages", unseen.tick, every_s=TIDY_EVERY_S, listener=listener),
            *_look_aside(settings, store, delivery, listener),
        )
    return ()


def _look_aside(
    settings: Settings, store: Store, delivery: Delivery, listener: Listener
) -> tuple[Duty, ...]:
    if store.set_aside is None:
        return ()
    undelivered = UndeliveredMessages(
        store.set_aside,
        _lanes(settings),
        store.jobs,
        delivery,
        clock=store.clock,
        listener=listener,
    )
    return (
        Duty("undelivered messages", undelivered.tick, every_s=TIDY_EVERY_S, listener=listener),
    )


def _sweep(store: Store, listener: Listener) -> tuple[Duty, ...]:
    """For what nobody names any more."""
    if store.leftovers is None:
        return ()
    sweep = partial(_sweep_all, store.leftovers)
    return (Duty("leftovers", sweep, every_s=TIDY_EVERY_S, listener=listener),)


async def _sweep_all(leftovers: Leftovers) -> None:
    while await leftovers.remove(limit=SWEPT_AT_ONCE):  # noqa: ASYNC110 - an index may lag behind
        await asyncio.sleep(SWEEP_PAUSE_S)


def _webhook_sender(
    settings: Settings, store: Store, telling: Telling, listener: Listener
) -> WebhookSender:
    return WebhookSender(
        store.outbox,
        store.endpoints,
        telling.webhooks,
        telling.teller,
        settings=settings.webhooks,
        clock=store.clock,
        listener=listener,
    )


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
            new_name=results_name,
        ),
        submission=submission,
        name=RunnerName(f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"),
        clock=store.clock,
        listener=listener,
        settings=settings.batches,
    )


def results_name() -> BlobName:
    """For the bytes of a file of results."""
    return BlobName("results-" + secrets.token_hex(16))


def _tokens(settings: Settings, clock: Clock) -> Tokens | None:
    jwt = settings.auth.jwt
    return None if jwt is None else Tokens(jwt, key_set_at(jwt.jwks), clock)
