"""Counts facts for Prometheus. Each metric has its line in docs/metrics.md.

No label holds anything that clients make up: no job ids, no models, no messages. Teams and pools
are as many as the operator has given keys and settings for.
"""

import math
from typing import Generic, TypeVar, assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from typing_extensions import override

from headpond.domain.dispatch import DispatchState
from headpond.domain.facts import (
    BatchAdvanced,
    BatchEnded,
    CacheAsked,
    ClaimLost,
    DutyFailed,
    DutyWellAgain,
    EndpointDisabled,
    EngineAnswered,
    EngineBroken,
    EngineFailed,
    EngineHealth,
    EngineLoad,
    EngineStarting,
    Fact,
    FirstToken,
    JobClaimed,
    JobConvicted,
    JobSettled,
    JobSubmitted,
    PoolScaled,
    Reaped,
    RequestRefused,
    StreamClosed,
    StreamOpened,
    WebhookSent,
)
from headpond.domain.scaling.observation import Crew
from headpond.domain.scaling.state import ScalingStep
from headpond.ports.events import Listener

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""From a classifier's answer to an hour in the queue."""

RESULTS = {
    DispatchState.DELIVERED: "delivered",
    DispatchState.PENDING: "retried",
    DispatchState.FAILED: "given_up",
}

Metric = TypeVar("Metric", Counter, Gauge, Histogram)


class _Family(dict[tuple[str, ...], Metric], Generic[Metric]):
    """A metric's children by their label values: looking one up again costs a dict's time."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Metric:
        child = self[labels] = self._metric.labels(*labels)
        return child


class PrometheusListener(Listener):
    """Metrics in a registry of its own, one for each process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._submitted = self._counter(
            "headpond_jobs_submitted", "Jobs accepted.", "pool", "priority", "team"
        )
        self._replayed = self._counter(
            "headpond_jobs_replayed", "Submits that met a job under their key.", "pool", "team"
        )
        self._refused = self._counter(
            "headpond_requests_refused", "Requests turned away.", "code", "status"
        )
        self._waits = self._histogram(
            "headpond_job_wait_seconds", "From accepted to claimed.", "pool", "priority"
        )
        self._settled = self._counter(
            "headpond_jobs_settled",
            "Runs by the state they left the job in; queued is a return.",
            *("pool", "priority", "team", "state"),
        )
        self._services = self._histogram(
            "headpond_job_service_seconds", "Runs that ended a job.", "pool", "priority"
        )
        self._tokens = self._counter(
            "headpond_tokens", "Tokens that engines counted.", "pool", "team", "kind"
        )
        self._cache_lookups = self._counter(
            "headpond_cache_lookups", "Requests looked for in memory.", "pool", "team", "result"
        )
        self._cached_tokens = self._counter(
            "headpond_cache_tokens", "Tokens of answers from memory.", "pool", "team", "kind"
        )
        self._claims_lost = Counter(
            "headpond_claims_lost", "Work thrown away.", registry=self.registry
        )
        self._first_tokens = self._histogram(
            "headpond_first_token_seconds", "From accepted to the first token.", "pool", "priority"
        )
        self._streams = self._gauge("headpond_streams_open", "Readers of streams.", "api")
        self._reaped = self._counter(
            "headpond_jobs_reaped", "Jobs ended or sent again by the reaper.", "pool", "action"
        )
        self._engine_answers = self._histogram(
            "headpond_engine_answer_seconds", "Calls to engines.", "engine", "outcome"
        )
        self._engine_up = self._gauge("headpond_engine_up", "1 while it takes requests.", "engine")
        self._engine_failures = self._counter(
            "headpond_engine_failures", "Deaths, and garbage to all.", "engine"
        )
        self._engine_breaks = self._counter(
            "headpond_engine_breaks", "Times that it failed with everybody.", "engine"
        )
        self._convicted = self._counter(
            "headpond_jobs_convicted", "Jobs buried for taking engines down.", "pool", "team"
        )
        self._running = self._gauge("headpond_engine_running", "Requests it runs.", "engine")
        self._waiting = self._gauge("headpond_engine_waiting", "Requests it holds.", "engine")
        self._kv_usage = self._gauge(
            "headpond_engine_kv_usage_ratio", "Used share of its KV cache.", "engine"
        )
        self._in_flight = self._gauge(
            "headpond_engine_in_flight", "Requests that the worker has there.", "engine"
        )
        self._room = self._gauge(
            "headpond_engine_room", "Requests that the worker would add.", "engine"
        )
        self._suspects = self._gauge(
            "headpond_engine_suspects", "Jobs that wait to be run in isolation.", "engine"
        )
        self._target = self._gauge(
            "headpond_scaling_target_workers", "Workers that a pool should have.", "pool"
        )
        self._crew = self._gauge("headpond_scaling_workers", "What there is.", "pool", "state")
        self._scaled = self._counter(
            "headpond_scaling_changes", "Times that the target changed.", "pool", "direction"
        )
        self._webhooks = self._histogram(
            "headpond_webhook_attempt_seconds", "Attempts by what became of the delivery.", "result"
        )
        self._endpoints_disabled = Counter(
            "headpond_webhook_endpoints_disabled", "Given up on.", registry=self.registry
        )
        self._batches = self._counter(
            "headpond_batches", "Batches by the status that they entered.", "team", "status"
        )
        self._batch_lines = self._counter(
            "headpond_batch_lines", "Requests of batches that ended.", "team", "end"
        )
        self._duty_failures = self._counter(
            "headpond_duty_failures", "Ticks of background duties that failed.", "duty"
        )

    @override
    def hear(self, fact: Fact) -> None:  # noqa: C901, PLR0912, PLR0915 - one arm for each fact
        match fact:  # what happens with each job comes first
            case JobSubmitted():
                self._hear_submitted(fact)
            case JobClaimed(job, waited_s):
                self._waits[job.pool, job.priority].observe(waited_s)
            case EngineAnswered(engine, outcome, duration_s):
                self._engine_answers[engine, outcome].observe(duration_s)
            case CacheAsked(job, result):
                self._cache_lookups[job.pool, job.team, result].inc()
            case JobSettled():
                self._hear_settled(fact)
            case RequestRefused(code, status):
                self._refused[code, str(status)].inc()
            case EngineLoad():
                self._hear_load(fact)
            case EngineHealth(engine, healthy):
                self._engine_up[engine,].set(healthy)
            case EngineStarting(engine):
                self._engine_up[engine,].set(0)
            case EngineBroken(engine):
                self._engine_breaks[engine,].inc()
            case EngineFailed(engine):
                self._engine_failures[engine,].inc()
            case JobConvicted(job):
                self._convicted[job.pool, job.team].inc()
            case FirstToken(job, waited_s):
                self._first_tokens[job.pool, job.priority].observe(waited_s)
            case StreamOpened(api):
                self._streams[api,].inc()
            case StreamClosed(api):
                self._streams[api,].dec()
            case ClaimLost():
                self._claims_lost.inc()
            case Reaped(job, action):
                self._reaped[job.pool, action].inc()
            case WebhookSent(dispatch, duration_s):
                self._webhooks[RESULTS[dispatch.state],].observe(duration_s)
            case EndpointDisabled():
                self._endpoints_disabled.inc()
            case BatchAdvanced(batch):
                self._batches[batch.team, batch.status].inc()
            case BatchEnded():
                self._hear_batch_ended(fact)
            case PoolScaled(step):
                self._hear_scaled(step)
            case DutyFailed(duty):
                self._duty_failures[duty,].inc()
            case DutyWellAgain():
                pass
            case _:  # pragma: no cover
                assert_never(fact)

    def render(self) -> tuple[bytes, str]:
        """The page that Prometheus scrapes, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _hear_submitted(self, fact: JobSubmitted) -> None:
        job = fact.job
        if fact.replayed:
            self._replayed[job.pool, job.team].inc()
        else:
            self._submitted[job.pool, job.priority, job.team].inc()

    def _hear_settled(self, fact: JobSettled) -> None:
        job = fact.job
        self._settled[job.pool, job.priority, job.team, job.state].inc()
        if job.finished_at is None:
            return
        self._services[job.pool, job.priority].observe(fact.service_s)
        if job.usage is not None:
            tokens = self._cached_tokens if job.cached else self._tokens
            tokens[job.pool, job.team, "prompt"].inc(job.usage.prompt_tokens)
            tokens[job.pool, job.team, "completion"].inc(job.usage.completion_tokens)

    def _hear_batch_ended(self, fact: BatchEnded) -> None:
        batch = fact.batch
        self._batches[batch.team, batch.status].inc()
        counts = batch.counts
        ends = {"completed": counts.completed, "failed": counts.failed, "stopped": counts.stopped}
        for end, count in ends.items():
            self._batch_lines[batch.team, end].inc(count)

    def _hear_scaled(self, step: ScalingStep) -> None:
        self._target[step.pool,].set(step.target)
        crew = step.seen.crew or Crew()
        counts = {
            "ready": crew.ready,
            "starting": len(crew.starting) - crew.pending,
            "pending": crew.pending,
            "draining": crew.draining,
        }
        for state, count in counts.items():
            self._crew[step.pool, state].set(count)
        if step.target != step.before:
            direction = "up" if step.target > step.before else "down"
            self._scaled[step.pool, direction].inc()

    def _hear_load(self, fact: EngineLoad) -> None:
        engine = (fact.engine,)
        self._running[engine].set(_known(fact.running))
        self._waiting[engine].set(_known(fact.waiting))
        self._kv_usage[engine].set(_known(fact.kv_usage))
        self._in_flight[engine].set(fact.in_flight)
        self._room[engine].set(fact.room)
        self._suspects[engine].set(fact.suspects)

    def _counter(self, name: str, meaning: str, *labels: str) -> _Family[Counter]:
        return _Family(Counter(name, meaning, labels, registry=self.registry))

    def _gauge(self, name: str, meaning: str, *labels: str) -> _Family[Gauge]:
        return _Family(Gauge(name, meaning, labels, registry=self.registry))

    def _histogram(self, name: str, meaning: str, *labels: str) -> _Family[Histogram]:
        return _Family(Histogram(name, meaning, labels, buckets=SECONDS, registry=self.registry))


def _known(value: float | None) -> float:
    """NaN for the unknown, which Prometheus draws as a gap, not as zero."""
    return math.nan if value is None else value
