"""Delivery composed from any queue and any job store, one step after the other.

The order of steps is the guarantee. Where a crash can fall between two, this is what heals it:

submit   record `accepted` ▸ send ▸ record `queued`     the reaper sends again what stays accepted;
                                                        the ticket tells the doubled message
claim    lease ▸ record `running`                       the lease lapses, the message comes again
settle   record ▸ acknowledge or give back              the message comes again; a record that
                                                        ended makes it mean nothing
reissue  record with a new ticket ▸ send ▸ `queued`     as submit
redrive  record `accepted` again ▸ send ▸ `queued`      as submit

A record is written under compare-and-set, so of two that act on one job the second finds that it
lost, reads again and judges again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from typing_extensions import override

from headpond.domain.claim import ASIDE_S, Begin, Drop, End, Sweep, judge
from headpond.domain.job import Job, JobId, JobState, Ticket
from headpond.domain.lane import Lane
from headpond.domain.outcome import Settlement
from headpond.errors import Unavailable, Unreadable, told
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.jobs import Added, Bodies, Existing, JobStore, NewJob
from headpond.ports.queue import Lease, Queue, message_of
from headpond.services.side_by_side import raise_first, side_by_side

READ_PART = 1 / 3
"""Of a lease: so long may it take to read what a job asks for."""

log = logging.getLogger(__name__)


class TwoStepDelivery(Delivery):
    """See the module's page for its guarantees. `lease_s` is the same for every claim."""

    def __init__(
        self,
        jobs: JobStore,
        queue: Queue,
        *,
        clock: Clock,
        new_ticket: Callable[[], Ticket],
        lease_s: float,
        max_lost_leases: int,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._clock = clock
        self._new_ticket = new_ticket
        self._lease_s = lease_s
        self._max_lost_leases = max_lost_leases

    @override
    async def submit(self, new: NewJob) -> Added | Existing:
        stored = await self._jobs.add(new)
        if isinstance(stored, Existing):
            return stored
        return Added(await self._enqueue(stored.job))

    @override
    async def claim(
        self, lanes: Sequence[Lane], *, worker: str, limit: int, wait_s: float = 0.0
    ) -> list[Claim]:
        claims: list[Claim] = []
        sweep: Sweep | None = Sweep(limit)
        try:
            while sweep is not None:
                leases = await self._queue.receive(
                    lanes, limit=sweep.limit, lease_s=self._lease_s, wait_s=wait_s
                )
                wait_s = 0.0
                remove = self._queue.drop if sweep.refunds else self._queue.ack
                claiming = [self._claim(lease, worker, remove) for lease in leases]
                found = await asyncio.gather(*claiming, return_exceptions=True)
                begun = [claim for claim in found if isinstance(claim, Claim)]
                claims += begun
                raise_first(found)
                sweep = sweep.then(len(leases), len(begun))
        except Exception as error:
            # What began is running by its record: if nobody ran it, it would lose its lease.
            if not claims:
                raise
            log.warning("of what was received not all could be claimed: %s", told(error))
        return claims

    @override
    async def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        leases = [claim.lease for claim in claims]
        kept = await self._queue.extend(leases, lease_s=self._lease_s)
        tokens = {lease.token for lease in kept}
        held = [claim for claim in claims if claim.lease.token in tokens]
        stand = await side_by_side(self._stands(c.job.id, c.job.version) for c in held)
        return [claim for claim, stands in zip(held, stand, strict=True) if stands]

    @override
    async def settle(self, claim: Claim, settlement: Settlement) -> bool:
        after = settlement.job
        written = await self._jobs.swap(after, settlement.response)
        stands = after if written else await self._jobs.get(after.id)
        # The record decides about the message, whoever wrote it: a settlement that was cut off
        # before this line is tried again, and must not remove the message of a job that waits.
        if stands is None or stands.state.terminal:
            await self._queue.ack([claim.lease])
        elif stands.state is not JobState.RUNNING:
            await self._queue.give_back([claim.lease], delay_s=settlement.delay_s)
        return stands == after

    @override
    async def reissue(self, job: Job) -> bool:
        after = job.reissued(self._new_ticket())
        if not await self._jobs.swap(after):
            return False
        await self._enqueue(after)
        return True

    @override
    async def redrive(self, job: Job, *, delay_s: float = 0.0) -> bool:
        after = job.redriven(self._new_ticket())
        if not await self._jobs.swap(after):
            return False
        await self._enqueue(after, delay_s)
        return True

    async def _enqueue(self, job: Job, delay_s: float = 0.0) -> Job:
        await self._queue.send([message_of(job)], delay_s=delay_s)
        queued = job.enqueued(self._clock.now() + delay_s)
        if await self._jobs.swap(queued):
            return queued
        # A worker was faster, or the owner cancelled: either way it was in its lane.
        return await self._jobs.get(job.id) or job

    async def _claim(
        self, lease: Lease, worker: str, remove: Callable[[Sequence[Lease]], Awaitable[None]]
    ) -> Claim | None:
        message = lease.message
        while True:
            try:
                job = await self._jobs.get(message.job_id)
            except Unreadable:
                log.exception("the message of %s is hidden for a while", message.job_id)
                await self._queue.give_back([lease], delay_s=ASIDE_S)
                return None
            verdict = judge(
                job,
                message.ticket,
                worker=worker,
                now=self._clock.now(),
                max_lost_leases=self._max_lost_leases,
            )
            match verdict:
                case Begin(after):
                    # First of all: bodies may lie elsewhere, and where they cannot be read nothing
                    # has begun that could be charged.
                    bodies = await self._bodies(after.id)
                    if bodies is None:
                        await self._say_if_lost(after)
                    elif await self._jobs.swap(after):
                        return Claim(after, bodies.request, lease)
                case End(after):
                    if await self._jobs.swap(after):
                        await remove([lease])
                        return None
                case Drop():
                    await remove([lease])
                    return None
                case _:  # pragma: no cover
                    assert_never(verdict)

    async def _bodies(self, job_id: JobId) -> Bodies | None:
        """Raises Unavailable once they take a good part of the lease, for which others wait too."""
        try:
            async with asyncio.timeout(self._lease_s * READ_PART):
                return await self._jobs.bodies(job_id)
        except TimeoutError as error:
            message = f"The request of {job_id} could not be read in time."
            raise Unavailable(message, code="bodies_unavailable") from error

    async def _say_if_lost(self, after: Job) -> None:
        """A job whose request was erased has ended in between; raises Unavailable if it has not."""
        if await self._stands(after.id, after.version - 1):
            message = f"The request of {after.id} is not there, and the job has not ended."
            raise Unavailable(message, code="bodies_unavailable")

    async def _stands(self, job_id: JobId, version: int) -> bool:
        try:
            job = await self._jobs.get(job_id)
        except Unreadable:
            return False
        return job is not None and job.version == version
