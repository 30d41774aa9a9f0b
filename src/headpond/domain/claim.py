"""What becomes of a job when a worker receives one of its messages."""

import msgspec

from headpond.domain.job import Job, JobError, JobState, Ticket


class Begin(msgspec.Struct, frozen=True):
    """Run it: `job` is the record after the claim."""

    job: Job


class End(msgspec.Struct, frozen=True):
    """Do not run it; write the terminal record, then acknowledge the message."""

    job: Job


class Drop(msgspec.Struct, frozen=True):
    """The message means nothing any more (ended, unknown or reissued): acknowledge it."""


Verdict = Begin | End | Drop


def judge(
    job: Job | None, ticket: Ticket, *, worker: str, now: float, max_lost_leases: int
) -> Verdict:
    """Decide on a received message with `ticket`, given the job's record as it stands.

    A running record under the same ticket means that the lease of its worker lapsed: the queue
    never hands one message to two. Under another ticket the message is a double; the one that
    counts is still in the queue.
    """
    if job is None or job.state.terminal or job.ticket != ticket:
        return Drop()
    if job.overdue(now):
        return End(job.expired(now))
    if job.state is JobState.RUNNING and job.lost_leases >= max_lost_leases:
        message = f"{job.lost_leases + 1} workers vanished while they ran this job."
        return End(job.buried(now, JobError("workers_lost", message)))
    return Begin(job.claimed(worker, now))
