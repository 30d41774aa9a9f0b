"""Submission: from a checked request to a durable, queued job."""

import random
import secrets
from collections.abc import Callable, Mapping
from typing import assert_never

import msgspec
from msgspec.structs import replace

from headpond.domain.catalogue import Catalogue, Route
from headpond.domain.facts import JobSubmitted
from headpond.domain.identity import Identity, time_ordered_id
from headpond.domain.job import BatchId, Job, JobId, Ticket
from headpond.domain.lane import Priority
from headpond.domain.quote import Quote
from headpond.domain.work import estimated_work
from headpond.errors import InvalidRequest, NotFound, RateLimited, TooLarge
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import Added, Existing, Idempotency, JobStore, NewJob, Try
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import Allowance, RateLimits
from headpond.services.tries import RefusedTries
from headpond.settings import PoolSettings


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, checked for form by the gateway.

    `request` is the chat completion's body as JSON, an object without `model` and `stream`;
    `prompt_chars` the length of its messages; `deadline` Unix seconds, which `best_effort` takes
    for a wish; instead of it, `expires_in` counts from the submission. `fingerprint` identifies the
    client's whole body for `idempotency_key`; without one, and if the client counts its tries,
    `try_number` is which one this is, and `fingerprint` identifies the client too.
    """

    request: bytes
    prompt_chars: int
    model: str | None = None
    max_tokens: int | None = None
    priority: Priority = Priority.BATCH
    task_type: str | None = None
    deadline: float | None = None
    expires_in: float | None = None
    best_effort: bool = False
    callback: str | None = None
    stream: bool = False
    background: bool | None = None
    metadata: dict[str, str] = {}
    batch: BatchId | None = None
    idempotency_key: str | None = None
    try_number: int | None = None
    fingerprint: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """The job that stands for an order; `replayed` when it stood already."""

    job: Job
    allowance: Allowance
    replayed: bool = False


class Submission:
    """Accepts orders. Returning means durable: the job is in the store and in its lane.

    `weights` are the teams' shares, 1 if not named. `max_request_bytes` is what the store has room
    for, None if that is no limit.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        jobs: JobStore,
        pools: dict[str, PoolSettings],
        catalogue: Catalogue,
        limits: RateLimits,
        quotes: Quotes,
        weights: Mapping[str, float],
        clock: Clock,
        listener: Listener,
        idempotency_ttl_s: float,
        sdk_retry_window_s: float,
        max_request_bytes: int | None = None,
        random_bits: Callable[[int], int] | None = None,
    ) -> None:
        self._delivery = delivery
        self._jobs = jobs
        self._pools = pools
        self._catalogue = catalogue
        self._limits = limits
        self._quotes = quotes
        self._weights = weights
        self._clock = clock
        self._listener = listener
        self._idempotency_ttl_s = idempotency_ttl_s
        self._sdk_retry_window_s = sdk_retry_window_s
        self._max_request_bytes = max_request_bytes
        self._refused = RefusedTries(clock)
        self._random_bits = random_bits or random.Random(secrets.randbits(256)).getrandbits

    async def submit(self, order: Order, identity: Identity) -> Receipt:
        """Make the order a job; the same job again for the same key and body, or a later try.

        A replay is neither checked nor charged again: the model may be gone by now, the deadline
        past, the rate limit used up. Raises NotFound for a model that no pool serves,
        InvalidRequest for a deadline that is past or out of reach and for a key that came with
        another body, TooLarge, RateLimited.
        """
        if order.try_number and self._refused.comes_again(order.fingerprint):
            order = replace(order, try_number=0)
        known = await self._known(order, identity)
        if known is not None:
            return await self._replayed(known, order, identity)
        now = self._clock.now()
        if order.expires_in is not None:
            order = replace(order, deadline=now + order.expires_in)
        job = self._job(order, identity, now)
        left = await self._charge(order, identity, job.work_tokens)
        stored = await self._delivery.submit(
            NewJob(job, order.request, self._idempotency(order, now))
        )
        match stored:
            case Added():
                self._quotes.note(job)
                self._listener.hear(JobSubmitted(stored.job))
                return Receipt(stored.job, left)
            case Existing():  # the same key, or two tries, came at one moment
                await self._limits.give_back(identity, job.work_tokens)
                return await self._replayed(stored, order, identity)
            case _:  # pragma: no cover
                assert_never(stored)

    def draft(self, name: str, order: Order, identity: Identity) -> Job:
        """The record of a line of a batch, by a name of 32 hex digits.

        Raises NotFound for a model that no pool serves, TooLarge.
        """
        return self._record(name, order, identity, self._route(order.model), None)

    async def submit_line(self, job: Job, request: bytes) -> None:
        """Hand a draft in; nothing changes if it was handed in before.

        It takes nothing from the team's rate limits: its batch was let in as a whole.
        """
        stored = await self._delivery.submit(NewJob(job, request))
        if isinstance(stored, Added):
            self._quotes.note(stored.job)
            self._listener.hear(JobSubmitted(stored.job))

    async def _known(self, order: Order, identity: Identity) -> Existing | None:
        if order.idempotency_key is not None:
            return await self._jobs.known(identity.team, order.idempotency_key)
        if order.try_number:
            return await self._jobs.retried(self._try(order, order.try_number, self._clock.now()))
        return None

    async def _replayed(self, known: Existing, order: Order, identity: Identity) -> Receipt:
        if known.fingerprint != order.fingerprint:
            message = (
                f"Idempotency-Key {order.idempotency_key!r} came before with another body. "
                "Use a new key for a new request."
            )
            raise InvalidRequest(message, code="idempotency_key_reused", status=422)
        self._listener.hear(JobSubmitted(known.job, replayed=True))
        return Receipt(known.job, await self._limits.allowance(identity), replayed=True)

    async def _charge(self, order: Order, identity: Identity, work_tokens: int) -> Allowance:
        try:
            return await self._limits.take(identity, work_tokens)
        except RateLimited:
            if order.try_number is not None:
                self._refused.refused(order.fingerprint)
            raise

    def _route(self, model: str | None) -> Route:
        route = self._catalogue.route(model)
        if route is None:
            message = (
                "This gateway has no default model; name one."
                if model is None
                else f"The model {model!r} is not served here; GET /v1/models lists them."
            )
            raise NotFound(message, code="model_not_found", param="model")
        return route

    def _job(self, order: Order, identity: Identity, now: float) -> Job:
        route = self._route(order.model)
        if order.deadline is not None and order.deadline <= now:
            message = "The deadline is in the past."
            raise InvalidRequest(message, code="deadline_in_the_past", param="deadline")
        work = estimated_work(order.prompt_chars, order.max_tokens)
        quote = self._quotes.quote(route.pool, order.priority, identity.team, work)
        _check_reach(order, quote, now)
        # Ids need to be unique, not secret: a team sees its own jobs only. The system's source of
        # randomness would be a system call for each.
        name = time_ordered_id(now, self._random_bits(74))
        return self._record(name, order, identity, route, quote)

    def _record(
        self, name: str, order: Order, identity: Identity, route: Route, quote: Quote | None
    ) -> Job:
        self._check_room(order.request)
        return Job(
            id=JobId("job_" + name),
            ticket=Ticket(name),
            team=identity.team,
            feature=identity.feature,
            pool=route.pool,
            priority=order.priority,
            model=route.model,
            task_type=order.task_type,
            metadata=order.metadata,
            batch=order.batch,
            work_tokens=estimated_work(order.prompt_chars, order.max_tokens).tokens,
            quote=quote,
            weight=self._weights.get(identity.team, 1.0),
            max_attempts=self._pools[route.pool].retry.max_attempts,
            deadline=order.deadline,
            callback=order.callback,
            stream=order.stream,
            background=order.background,
            accepted_at=self._clock.now(),
        )

    def _check_room(self, request: bytes) -> None:
        if self._max_request_bytes is not None and len(request) > self._max_request_bytes:
            message = (
                f"The request has {len(request)} bytes, and the store has room for "
                f"{self._max_request_bytes}."
            )
            raise TooLarge(message, code="body_too_large")

    def _idempotency(self, order: Order, now: float) -> Idempotency | Try | None:
        if order.idempotency_key is not None:
            expires_at = now + self._idempotency_ttl_s
            return Idempotency(order.idempotency_key, order.fingerprint, expires_at)
        if order.try_number is not None:
            return self._try(order, order.try_number, now)
        return None

    def _try(self, order: Order, number: int, now: float) -> Try:
        return Try(order.fingerprint, number, now + self._sdk_retry_window_s)


def _check_reach(order: Order, quote: Quote, now: float) -> None:
    """Raises InvalidRequest for a deadline that will more likely be missed than met."""
    if order.deadline is None or order.best_effort or quote.eta is None:
        return
    if quote.eta.p50 > order.deadline:
        message = (
            f"The deadline is {order.deadline - now:.3g} s away, but such a job would take about "
            f"{quote.eta.p50 - now:.3g} s now, and nine of ten up to {quote.eta.p90 - now:.3g} s. "
            "Send a later deadline, or best_effort=true to take the chance."
        )
        raise InvalidRequest(message, code="deadline_out_of_reach", param="deadline", status=422)
