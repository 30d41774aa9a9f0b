"""Delivery: a job from submit to settlement, with queue and record kept in step.

This is where exactly-once lives. `services/two_step_delivery.py` composes it from any queue and
any job store, one step after the other, in an order in which a crash between two steps is
healed later. An adapter that keeps both in one database offers it directly, in one transaction.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from headpond.domain.job import Job
from headpond.domain.lane import Lane
from headpond.domain.outcome import Settlement
from headpond.ports.jobs import Added, Existing, NewJob
from headpond.ports.queue import Lease


class Claim(msgspec.Struct, frozen=True):
    """A job in a worker's hands: its record after the claim, its request body, its lease."""

    job: Job
    request: bytes
    lease: Lease


class Delivery(Protocol):
    """Every verb takes effect durably before it returns."""

    async def submit(self, new: NewJob) -> Added | Existing:
        """Add the record and put its message in its lane; idempotent as `JobStore.add`."""
        ...

    async def claim(
        self, lanes: Sequence[Lane], *, worker: str, limit: int, wait_s: float = 0.0
    ) -> list[Claim]:
        """Lease up to `limit` messages and mark their jobs running for `worker`.

        Messages that mean nothing any more are dropped, so the list can be shorter than what was
        ready, even empty. With nothing ready, waits up to `wait_s` seconds.
        """
        ...

    async def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        """Extend the leases; returns the claims that still stand.

        One that is missing was taken over, cancelled or expired: its work should stop.
        """
        ...

    async def settle(self, claim: Claim, settlement: Settlement) -> bool:
        """Write what became of the job, then release its message; False if the claim had fallen.

        False means that somebody else has changed the record since: nothing was written. The same
        settlement may be tried again after an error: it is True if the first try wrote it.
        """
        ...

    async def reissue(self, job: Job) -> bool:
        """Send a new message for a job whose last one may be lost; False if it has changed."""
        ...

    async def redrive(self, job: Job, *, delay_s: float = 0.0) -> bool:
        """Put a dead job back into its lane, ready after `delay_s`; False if it has changed."""
        ...
