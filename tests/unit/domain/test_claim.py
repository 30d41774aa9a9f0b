"""What becomes of a job when its message is received."""

from headpond.domain.claim import REFUNDED, Begin, Drop, End, Sweep, Verdict, judge
from headpond.domain.job import Job, JobState, Ticket
from headpond.testing.records import a_job

NOW = 1_000_100.0


def verdict(job: Job | None, ticket: str | None = None) -> Verdict:
    """Judge a message with the job's own ticket, or another."""
    own = job.ticket if job is not None else Ticket("any")
    return judge(
        job, Ticket(ticket) if ticket else own, worker="worker", now=NOW, max_lost_leases=2
    )


def test_an_unknown_job_is_dropped() -> None:
    assert verdict(None) == Drop()


def test_an_ended_job_is_dropped() -> None:
    assert verdict(a_job().cancelled(NOW)) == Drop()


def test_another_ticket_is_dropped() -> None:
    assert verdict(a_job(), "stale") == Drop()


def test_an_overdue_job_expires() -> None:
    judged = verdict(a_job(deadline=NOW))
    assert isinstance(judged, End)
    assert judged.job.state is JobState.EXPIRED


def test_queued_work_begins() -> None:
    job = a_job().enqueued(NOW)
    assert verdict(job) == Begin(job.claimed("worker", NOW))


def test_work_of_a_vanished_worker_begins_again() -> None:
    job = a_job(state=JobState.RUNNING, lost_leases=1)
    assert verdict(job) == Begin(job.claimed("worker", NOW))


def test_work_that_lost_too_many_workers_is_buried() -> None:
    judged = verdict(a_job(state=JobState.RUNNING, lost_leases=2))
    assert isinstance(judged, End)
    assert judged.job.state is JobState.DEAD
    assert judged.job.error is not None
    assert judged.job.error.message.startswith("3 workers")


def test_lost_workers_do_not_count_against_a_job_that_came_back() -> None:
    assert isinstance(verdict(a_job(state=JobState.QUEUED, lost_leases=2)), Begin)


def test_a_claim_receives_again_for_what_came_to_nothing() -> None:
    assert Sweep(4).then(4, 4) is None
    assert Sweep(4).then(2, 2) is None
    assert Sweep(4).then(0, 0) is None
    assert Sweep(4).then(4, 1) == Sweep(3, 3)


def test_the_last_receipt_of_a_claim_refunds_nothing() -> None:
    last = Sweep(4, REFUNDED - 1).then(4, 1)
    assert last is not None
    assert not last.refunds
    assert last.then(3, 0) is None
