"""Writes facts to the log: what an operator must see as a warning, each job's path at debug.

Facts of every job are debug lines: at thousands of jobs a second they would drown the rest. No
prompts, answers or metadata are logged.
"""

import logging
from collections.abc import Mapping
from typing import assert_never

from typing_extensions import override

from headpond.domain.batch import Batch
from headpond.domain.dispatch import Dispatch, DispatchState
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
from headpond.domain.job import Job, JobState
from headpond.ports.events import Listener

SETTLED_LEVELS = {
    JobState.DEAD: logging.WARNING,
    JobState.FAILED: logging.INFO,
    JobState.EXPIRED: logging.INFO,
}

WEBHOOK_LEVELS = {
    DispatchState.DELIVERED: logging.DEBUG,
    DispatchState.PENDING: logging.INFO,
    DispatchState.FAILED: logging.WARNING,
}

log = logging.getLogger(__name__)


class LogListener(Listener):
    """One line for each fact, if its level is on."""

    @override
    def hear(self, fact: Fact) -> None:
        level = level_of(fact)
        if log.isEnabledFor(level):
            event, fields = describe(fact)
            log.log(level, event, extra={"fields": fields})


def level_of(fact: Fact) -> int:
    """How much an operator should care."""
    match fact:
        case (
            JobSubmitted()
            | JobClaimed()
            | RequestRefused()
            | EngineAnswered()
            | CacheAsked()
            | EngineLoad()
            | FirstToken()
            | StreamOpened()
            | StreamClosed()
            | PoolScaled(changed=False)
            | DutyFailed(news=False)
        ):
            return logging.DEBUG
        case JobSettled(job):
            return SETTLED_LEVELS.get(job.state, logging.DEBUG)
        case EngineHealth(healthy=healthy):
            return logging.INFO if healthy else logging.WARNING
        case EngineFailed() | EngineBroken() | JobConvicted() | DutyFailed() | EndpointDisabled():
            return logging.WARNING
        case WebhookSent(dispatch):
            return WEBHOOK_LEVELS[dispatch.state]
        case (
            EngineStarting()
            | ClaimLost()
            | Reaped()
            | BatchAdvanced()
            | BatchEnded()
            | PoolScaled()
            | DutyWellAgain()
        ):
            return logging.INFO
        case _:  # pragma: no cover
            assert_never(fact)


def describe(fact: Fact) -> tuple[str, Mapping[str, object]]:  # noqa: C901, PLR0911, PLR0912 - an arm each
    """The event's name and its fields."""
    match fact:
        case JobSubmitted(job, replayed):
            return "job submitted", {**_job(job), "team": job.team, "replayed": replayed}
        case JobClaimed(job, waited_s):
            return "job claimed", {**_job(job), "worker": job.worker, "waited_s": waited_s}
        case JobSettled(job, service_s):
            return f"job {_end(job)}", {**_job(job), "service_s": service_s, **_error(job)}
        case CacheAsked(job, result):
            return f"cache {result}", _job(job)
        case FirstToken(job, waited_s):
            return "first token", {**_job(job), "waited_s": waited_s}
        case StreamOpened(api):
            return "stream opened", {"api": api}
        case StreamClosed(api):
            return "stream closed", {"api": api}
        case ClaimLost(job_id):
            return "claim lost", {"job": job_id}
        case RequestRefused(code, status):
            return "request refused", {"code": code, "status": status}
        case EngineAnswered(engine, outcome, duration_s):
            return "engine answered", {
                "engine": engine,
                "outcome": outcome,
                "duration_s": duration_s,
            }
        case EngineStarting(engine):
            return "engine starting", {"engine": engine}
        case EngineBroken(engine, failures, reason):
            return "engine broken", {"engine": engine, "failures": failures, "reason": reason}
        case EngineHealth(engine, healthy):
            return "engine healthy" if healthy else "engine unhealthy", {"engine": engine}
        case EngineFailed(engine, in_flight, suspects, reason):
            return "engine failed", {
                "engine": engine,
                "in_flight": in_flight,
                "suspects": suspects,
                "reason": reason,
            }
        case JobConvicted(job):
            return "job convicted", {**_job(job), **_error(job)}
        case EngineLoad(engine, running, waiting, kv_usage, in_flight, room, suspects):
            return "engine load", {
                "engine": engine,
                "running": running,
                "waiting": waiting,
                "kv_usage": kv_usage,
                "in_flight": in_flight,
                "room": room,
                "suspects": suspects,
            }
        case Reaped(job, action):
            return f"job {action}", _job(job)
        case WebhookSent(dispatch, duration_s):
            return f"webhook {_told(dispatch)}", {
                "event": dispatch.event.id,
                "type": dispatch.event.type,
                "endpoint": dispatch.endpoint,
                "attempts": dispatch.attempts,
                "duration_s": duration_s,
                "error": dispatch.error,
            }
        case EndpointDisabled(endpoint):
            return "webhook endpoint disabled", {
                "endpoint": endpoint.id,
                "team": endpoint.team,
                "reason": endpoint.disabled_reason,
            }
        case BatchAdvanced(batch) | BatchEnded(batch):
            return f"batch {batch.status}", _batch(batch)
        case PoolScaled(step):
            return "pool scaled", {
                "pool": step.pool,
                "before": step.before,
                "target": step.target,
                "why": step.why,
            }
        case DutyFailed(duty, error):
            return "duty failed", {"duty": duty, "error": error}
        case DutyWellAgain(duty, failed_s):
            return "duty well again", {"duty": duty, "failed_s": failed_s}
        case _:  # pragma: no cover
            assert_never(fact)


def _job(job: Job) -> dict[str, object]:
    return {"job": job.id, "lane": str(job.lane), "attempts": job.attempts}


def _batch(batch: Batch) -> dict[str, object]:
    counts = batch.counts
    lines = {"total": counts.total, "completed": counts.completed, "failed": counts.failed}
    return {"batch": batch.id, "team": batch.team, **lines, "mistakes": len(batch.errors)}


def _end(job: Job) -> str:
    return "returned" if job.state is JobState.QUEUED else job.state.value


def _error(job: Job) -> dict[str, object]:
    return {} if job.error is None else {"code": job.error.code, "error": job.error.message}


def _told(dispatch: Dispatch) -> str:
    return "retried" if dispatch.state is DispatchState.PENDING else dispatch.state.value
