"""What an engine can say to a request, and what then becomes of the job.

    outcome        what happened                        charged      back after         gate
    Answered       a result                             -            -                  stays open
    Refused        this request can never succeed       -            -                  stays open
    NotNow         no room, or nobody there             nothing      when it said       pauses
    Misconfigured  the operator's fault: key, model     nothing      the longest delay  pauses
    Died           the engine went while it ran         a lost lease back-off           closes
    Broke          failed on this request               an attempt   back-off           closes

The last two are settled so only once `services/worker/isolation.py` knows that the engine was not
at fault (Broke), or could not find out whether the request was (Died).

A closed gate opens when the engine says that it is healthy; a paused one not before its time.
"""

from typing import assert_never

import msgspec

from headpond.domain.job import Job, JobError, Usage
from headpond.domain.retry import RetryPolicy, backoff_s


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's response body, as JSON bytes, with what was counted.

    `cut_short` when the engine ended the answer before the model did: by a limit or a filter.
    """

    response: bytes
    usage: Usage
    confidence: float | None = None
    cut_short: bool = False


class Refused(msgspec.Struct, frozen=True):
    """The request is at fault (a 4xx other than 408, 425, 429): it will never succeed."""

    message: str
    code: str = "engine_refused"


class NotNow(msgspec.Struct, frozen=True):
    """The engine has no room or is not there: nobody's fault, no attempt is charged."""

    reason: str
    retry_after_s: float | None = None


class Misconfigured(msgspec.Struct, frozen=True):
    """The engine turned us away, not the request: a wrong key, a model that it does not have."""

    reason: str


class Died(msgspec.Struct, frozen=True):
    """The engine went away, or fell ill, while it ran the request.

    Mostly nobody's fault, but a request can be what kills it: `services/worker/isolation.py` finds
    out.
    """

    reason: str
    code: str = "engine_died"


class Broke(msgspec.Struct, frozen=True):
    """The engine failed on this request (a 5xx, a time-out, garbage): an attempt is charged."""

    reason: str
    code: str = "engine_error"


Outcome = Answered | Refused | NotNow | Misconfigured | Died | Broke


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The record as it should be next, and what goes with it.

    `response` is set when the job succeeded. `delay_s` is how long the job's message stays
    hidden when `job` goes back to its lane.
    """

    job: Job
    response: bytes | None = None
    delay_s: float = 0.0


def pause_s(outcome: NotNow, policy: RetryPolicy) -> float:
    """Seconds until the engine is asked again; an engine that says 0 would be asked in a loop."""
    return max(policy.not_now_s, outcome.retry_after_s or 0.0)


def settle(  # noqa: PLR0911 - an arm for each row of the table
    job: Job,
    outcome: Outcome,
    *,
    engine: str,
    model_version: str | None,
    now: float,
    policy: RetryPolicy,
    chance: float,
) -> Settlement:
    """Decide what becomes of a running job. `chance` in [0, 1) is the jitter of a retry."""
    match outcome:
        case Answered():
            after = job.succeeded(
                now,
                engine=engine,
                model_version=model_version,
                usage=outcome.usage,
                confidence=outcome.confidence,
                cut_short=outcome.cut_short,
            )
            return Settlement(job=after, response=outcome.response)
        case Refused():
            error = JobError(outcome.code, outcome.message)
            after = job.failed(now, error, engine=engine, model_version=model_version)
            return Settlement(job=after)
        case NotNow():
            after = job.returned(charged=False, why=JobError("engine_not_now", outcome.reason))
            return Settlement(job=after, delay_s=pause_s(outcome, policy))
        case Misconfigured():
            why = JobError("engine_misconfigured", outcome.reason)
            after = job.returned(charged=False, why=why)
            return Settlement(job=after, delay_s=policy.max_delay_s)
        case Died() if job.lost_leases >= policy.max_lost_leases:
            message = f"{outcome.reason} (it was lost {job.lost_leases + 1} times)"
            error = JobError(outcome.code, message)
            after = job.buried(now, error, engine=engine, model_version=model_version)
            return Settlement(job=after)
        case Died():
            delay_s = backoff_s(policy, job.lost_leases + 1, chance)
            after = job.interrupted(JobError(outcome.code, outcome.reason))
            return Settlement(job=after, delay_s=delay_s)
        case Broke() if job.attempts >= job.max_attempts:
            error = JobError(outcome.code, f"{outcome.reason} (attempt {job.attempts})")
            after = job.buried(now, error, engine=engine, model_version=model_version)
            return Settlement(job=after)
        case Broke():
            delay_s = backoff_s(policy, job.attempts, chance)
            after = job.returned(charged=True, why=JobError(outcome.code, outcome.reason))
            return Settlement(job=after, delay_s=delay_s)
        case _:  # pragma: no cover
            assert_never(outcome)
