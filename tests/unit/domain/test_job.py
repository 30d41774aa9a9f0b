"""The state machine: every arrow that is drawn, and none that is not."""

import pytest

from headpond.domain.job import TERMINAL, Death, Job, JobError, JobState, Ticket, Usage
from headpond.domain.lane import Lane, Priority, lanes_of
from headpond.testing.records import a_job

ERROR = JobError("code", "why")
ARROWS = {
    "enqueued": ({JobState.ACCEPTED}, JobState.QUEUED),
    "claimed": ({JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING}, JobState.RUNNING),
    "returned": ({JobState.RUNNING}, JobState.QUEUED),
    "interrupted": ({JobState.RUNNING}, JobState.QUEUED),
    "succeeded": ({JobState.RUNNING}, JobState.SUCCEEDED),
    "failed": ({JobState.RUNNING}, JobState.FAILED),
    "buried": ({JobState.QUEUED, JobState.RUNNING}, JobState.DEAD),
    "reissued": ({JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING}, JobState.ACCEPTED),
    "redriven": ({JobState.DEAD}, JobState.ACCEPTED),
    "discarded": ({JobState.DEAD}, JobState.FAILED),
    "cancelled": ({JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING}, JobState.CANCELLED),
    "expired": ({JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING}, JobState.EXPIRED),
}


def follow(job: Job, arrow: str) -> Job:  # noqa: C901 - an arm for each arrow
    """Take an arrow with whatever it needs."""
    match arrow:
        case "enqueued":
            return job.enqueued(1.0)
        case "claimed":
            return job.claimed("worker", 2.0)
        case "returned":
            return job.returned(charged=True)
        case "interrupted":
            return job.interrupted()
        case "succeeded":
            return job.succeeded(3.0, engine="engine", usage=Usage(1, 2))
        case "failed":
            return job.failed(3.0, ERROR)
        case "buried":
            return job.buried(3.0, ERROR)
        case "reissued":
            return job.reissued(Ticket("new"))
        case "redriven":
            return job.redriven(Ticket("new"))
        case "discarded":
            return job.discarded(3.0)
        case "cancelled":
            return job.cancelled(3.0)
        case _:
            return job.expired(3.0)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("arrow", ARROWS)
def test_an_arrow_starts_where_it_is_drawn_and_nowhere_else(arrow: str, state: JobState) -> None:
    allowed, end = ARROWS[arrow]
    job = a_job(state=state, attempts=1)
    if state in allowed:
        after = follow(job, arrow)
        assert after.state is end
        assert after.version == job.version + 1
    else:
        with pytest.raises(ValueError, match=state):
            follow(job, arrow)


@pytest.mark.parametrize("state", JobState)
def test_nothing_leaves_a_terminal_state(state: JobState) -> None:
    leaving = [
        arrow
        for arrow, (allowed, _) in ARROWS.items()
        # By an operator's hand, not by itself.
        if state in allowed and arrow not in {"redriven", "discarded"}
    ]
    assert state.terminal == (state in TERMINAL) == (not leaving)


def test_an_attempt_is_charged_when_it_begins() -> None:
    assert a_job().claimed("worker", 1.0).attempts == 1


def test_a_take_over_charges_the_worker_not_the_job() -> None:
    taken_over = a_job().claimed("one", 1.0).claimed("two", 2.0)
    assert (taken_over.attempts, taken_over.lost_leases) == (1, 1)
    assert (taken_over.worker, taken_over.started_at) == ("two", 2.0)


def test_what_was_not_the_jobs_fault_is_refunded() -> None:
    running = a_job().claimed("worker", 1.0)
    assert running.returned(charged=False).attempts == 0
    assert running.returned(charged=True).attempts == 1


def test_a_death_is_counted_apart_from_attempts() -> None:
    interrupted = a_job().claimed("worker", 1.0).interrupted()
    assert (interrupted.attempts, interrupted.lost_leases, interrupted.worker) == (0, 1, None)


def test_a_reissued_job_listens_to_its_new_ticket_only() -> None:
    for job in (a_job(), a_job().enqueued(1.0)):
        reissued = job.reissued(Ticket("new"))
        assert (reissued.ticket, reissued.state) == ("new", JobState.ACCEPTED)
    with pytest.raises(ValueError, match="cancelled"):
        a_job().cancelled(1.0).reissued(Ticket("new"))


def test_nobody_is_charged_for_a_message_that_was_lost_under_a_run() -> None:
    charged = a_job().claimed("w", 1.0).returned(charged=True)
    reissued = charged.claimed("worker", 2.0).reissued(Ticket("new"))
    assert (reissued.attempts, reissued.lost_leases, reissued.worker) == (1, 0, None)


def test_only_a_living_job_can_be_overdue() -> None:
    job = a_job(deadline=10.0)
    assert not job.overdue(9.9)
    assert job.overdue(10.0)
    assert not job.cancelled(5.0).overdue(10.0)
    assert not a_job().overdue(1e12)


def test_the_first_queueing_stands_in_the_record() -> None:
    job = a_job().enqueued(1.0).claimed("worker", 2.0)
    assert job.queued_at == 1.0
    assert a_job().claimed("worker", 2.0).queued_at == 2.0


def test_a_message_was_seen_when_it_was_sent_ready_or_received() -> None:
    accepted = a_job(accepted_at=1.0)
    assert accepted.message_seen_at == 1.0
    queued = accepted.enqueued(5.0)
    assert queued.message_seen_at == 5.0
    assert queued.claimed("w", 3.0).message_seen_at == 5.0
    assert queued.claimed("w", 7.0).returned(charged=True).message_seen_at == 7.0
    reissued = queued.claimed("w", 7.0).reissued(Ticket("new"))
    assert reissued.enqueued(9.0).message_seen_at == 9.0
    assert reissued.claimed("w", 9.0).message_seen_at == 9.0


def test_a_lane_is_a_pool_at_a_priority() -> None:
    lane = a_job(pool="big", priority=Priority.INTERACTIVE).lane
    assert lane == Lane("big", Priority.INTERACTIVE)
    assert str(lane) == "big/interactive"
    assert lanes_of("big") == (lane, Lane("big", Priority.BATCH))


def test_what_is_erased_has_ended() -> None:
    with pytest.raises(ValueError, match="accepted"):
        a_job().erased(1.0)
    assert a_job(state=JobState.SUCCEEDED).erased(1.0).state is JobState.SUCCEEDED
    assert a_job(state=JobState.DEAD).erased(1.0).state is JobState.FAILED


def test_a_dead_job_comes_back_with_its_deaths() -> None:
    running = a_job().claimed("w", 1.0)
    dead = running.buried(2.0, JobError("c", "why"), engine="e", model_version="v1")
    back = dead.redriven(Ticket("new"))
    assert (back.state, back.attempts, back.ticket) == (JobState.ACCEPTED, 0, "new")
    assert (back.error, back.finished_at, back.version) == (None, None, dead.version + 1)
    assert (back.engine, back.model_version) == (None, None)
    assert back.deaths == (
        Death(error=dead.error, finished_at=2.0, attempts=1, engine="e", model_version="v1"),
    )
    discarded = dead.discarded(3.0)
    assert (discarded.state, discarded.model_version) == (JobState.FAILED, "v1")
