"""What becomes of a job when a worker receives one of its messages."""

from typing import Optional

import msgspec

from headpond.domain.job import Job, JobError, JobState, Ticket

ASIDE_S = 600.0
"""How long the message of a record that cannot be read stays hidden."""

REFUNDED = 256
"""Messages that came to nothing, of one claim, for which no team pays. It bounds how long the claim
takes as well."""


class Begin(msgspec.Struct, frozen=True):
    """Run it: `job` is the record after the claim."""

    job: Job


class End(msgspec.Struct, frozen=True):
    """Do not run it; write the terminal record, then acknowledge the message."""

    job: Job


class Drop(msgspec.Struct, frozen=True):
    """The message means nothing any more (ended, unknown or reissued): acknowledge it."""


Verdict = Begin | End | Drop


class Sweep(msgspec.Struct, frozen=True):
    """One receipt of a claim, of up to `limit` messages.

    What came to nothing gives its place to others: the claim receives again. Teams are refunded
    for it, and so a team that cancelled much would be next again and again. Therefore a claim
    refunds no more once it has done so `REFUNDED` times: it receives a last time, and whoever
    brings nothing then has had its turn. `for_nothing` counts what came to nothing before.
    """

    limit: int
    for_nothing: int = 0

    @property
    def refunds(self) -> bool:
        """Whether what comes to nothing in this receipt is refunded."""
        return self.for_nothing < REFUNDED

    def then(self, received: int, begun: int) -> Optional["Sweep"]:
        """The next receipt; None if the claim is complete."""
        left, for_nothing = self.limit - begun, received - begun
        if not (left and for_nothing and self.refunds):
            return None
        return Sweep(left, self.for_nothing + for_nothing)


def judge(
    job: Job | None, ticket: Ticket, *, worker: str, now: float, max_lost_leases: int
) -> Verdict:
    """Decide on a received message with `ticket`, given the job's record as it stands.

    A running record under the same ticket means that the lease of its worker lapsed: the queue
    never hands one message to two. Under another ticket the message is a double; the one that
    counts is still in the queue.
    """
    if job is None or not job.awaits(ticket):
        return Drop()
    if job.overdue(now):
        return End(job.expired(now))
    if job.state is JobState.RUNNING and job.lost_leases >= max_lost_leases:
        message = f"{job.lost_leases + 1} workers vanished while they ran this job."
        return End(job.buried(now, JobError("workers_lost", message)))
    return Begin(job.claimed(worker, now))
