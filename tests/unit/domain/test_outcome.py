"""What an engine's answer makes of a job."""

import pytest

from headpond.domain.job import Job, JobError, JobState, Usage
from headpond.domain.outcome import (
    Answered,
    Broke,
    Died,
    Misconfigured,
    NotNow,
    Outcome,
    Refused,
    Settlement,
    settle,
)
from headpond.domain.retry import RetryPolicy
from headpond.testing.records import RESPONSE, a_job

NOW = 1_000_100.0
POLICY = RetryPolicy(first_delay_s=2.0, not_now_s=3.0)


def settled(outcome: Outcome, job: Job | None = None) -> Settlement:
    """Settle a job in its first attempt."""
    running = job or a_job().claimed("worker", NOW)
    return settle(
        running,
        outcome,
        engine="engine",
        model_version="v1",
        now=NOW,
        policy=POLICY,
        chance=0.5,
    )


def test_an_answer_succeeds_with_its_counts() -> None:
    settlement = settled(Answered(response=RESPONSE, usage=Usage(3, 4), confidence=0.9))
    assert settlement.response == RESPONSE
    job = settlement.job
    assert (job.state, job.usage, job.confidence) == (JobState.SUCCEEDED, Usage(3, 4), 0.9)
    assert (job.engine, job.finished_at) == ("engine", NOW)


def test_a_refusal_fails_at_once() -> None:
    # SPEC W5
    settlement = settled(Refused("too long", "context_length_exceeded"))
    assert settlement.job.state is JobState.FAILED
    assert settlement.job.error == JobError("context_length_exceeded", "too long")
    assert settlement.response is None


@pytest.mark.parametrize(("retry_after_s", "delay_s"), [(None, 3.0), (0.0, 3.0), (7.0, 7.0)])
def test_not_now_charges_nothing(retry_after_s: float | None, delay_s: float) -> None:
    # SPEC W2
    settlement = settled(NotNow("full", retry_after_s))
    assert (settlement.job.state, settlement.job.attempts) == (JobState.QUEUED, 0)
    assert settlement.delay_s == delay_s


def test_the_operators_fault_charges_nothing_and_waits() -> None:
    settlement = settled(Misconfigured("HTTP 401"))
    assert (settlement.job.state, settlement.job.attempts) == (JobState.QUEUED, 0)
    assert settlement.delay_s == POLICY.max_delay_s


def test_a_death_is_counted_and_backs_off() -> None:
    # SPEC W5
    settlement = settled(Died("connection lost"))
    job = settlement.job
    assert (job.state, job.attempts, job.lost_leases) == (JobState.QUEUED, 0, 1)
    assert settlement.delay_s == 1.5


def test_a_job_that_takes_its_engine_along_each_time_is_buried() -> None:
    job = a_job(state=JobState.RUNNING, attempts=1, lost_leases=POLICY.max_lost_leases)
    settlement = settled(Died("connection lost"), job)
    assert settlement.job.state is JobState.DEAD
    assert settlement.job.error == JobError("engine_died", "connection lost (it was lost 6 times)")


def test_a_breakdown_is_tried_again_after_a_while() -> None:
    settlement = settled(Broke("500"))
    assert (settlement.job.state, settlement.job.attempts) == (JobState.QUEUED, 1)
    assert settlement.delay_s == 1.5


@pytest.mark.parametrize(
    "outcome",
    [Answered(response=RESPONSE, usage=Usage()), Refused("no"), Died("gone"), Broke("500")],
)
def test_who_ended_a_job_is_in_its_record_with_the_version(outcome: Outcome) -> None:
    last = a_job(state=JobState.RUNNING, attempts=3, lost_leases=POLICY.max_lost_leases)
    ended = settled(outcome, last).job
    assert (ended.state.terminal, ended.engine, ended.model_version) == (True, "engine", "v1")


@pytest.mark.parametrize("outcome", [NotNow("full"), Misconfigured("401"), Died("x"), Broke("x")])
def test_a_job_that_goes_back_is_of_no_version(outcome: Outcome) -> None:
    back = settled(outcome).job
    assert (back.state, back.engine, back.model_version) == (JobState.QUEUED, None, None)


def test_the_last_breakdown_buries_with_its_reason() -> None:
    # SPEC Q3
    job = a_job(state=JobState.RUNNING, attempts=3, max_attempts=3)
    settlement = settled(Broke("500", "engine_error"), job)
    assert settlement.job.state is JobState.DEAD
    assert settlement.job.error == JobError("engine_error", "500 (attempt 3)")
