"""Sees every lease at the moment at which the store hands it out, and who held it before."""

from collections.abc import Mapping, Sequence

from typing_extensions import override

from headpond.domain.job import Job, JobId, Ticket
from headpond.domain.lane import Lane, Priority
from headpond.domain.outcome import Settlement
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.jobs import Added, Existing, NewJob
from headpond.ports.queue import Depth, Lease, LeaseToken, Message, Queue
from headpond.testing.simulation.fates import Fates
from headpond.testing.virtual_time import LoopClock


class Witness:
    """Who holds what. A message that was doubled is two."""

    def __init__(self, queue: Queue, clock: Clock, fates: Fates) -> None:
        self._queue = queue
        self._clock = clock
        self._fates = fates
        self._lease_s = fates.plan.pool.lease_s
        self._held: dict[tuple[JobId, Ticket], tuple[LeaseToken, float]] = {}
        self.doubled: set[JobId] = set()

    async def granted(self, leases: Sequence[Lease], lanes: Sequence[Lane]) -> None:
        """These were handed out; no lease of the same message may still have been running."""
        # A lease has lapsed for all once it has by the clock that is furthest ahead.
        now = LoopClock().now() + self._fates.plan.skew_s / 2
        for lease in leases:
            _, until = self._held.get(_message(lease), ("", now))
            if until > now and lease.message.job_id not in self.doubled:
                self._fates.violated(f"{lease.message.job_id} is held by two")
        self.held(leases)
        if any(lease.message.lane.priority is not Priority.INTERACTIVE for lease in leases):
            for lane in lanes:
                if lane.priority is Priority.INTERACTIVE and (await self._queue.depth(lane)).ready:
                    self._fates.violated(f"{lane} waits and others were served")

    def held(self, leases: Sequence[Lease]) -> None:
        """These are held for a whole lease from now."""
        for lease in leases:
            self._held[_message(lease)] = (lease.token, self._clock.now() + self._lease_s)

    def released(self, leases: Sequence[Lease]) -> None:
        """Whoever held these gave them up, if it still held them."""
        for lease in leases:
            if self._held.get(_message(lease), ("", 0.0))[0] == lease.token:
                del self._held[_message(lease)]


class WitnessedQueue(Queue):
    """A queue under the eyes of the witness."""

    def __init__(self, queue: Queue, witness: Witness) -> None:
        self._queue = queue
        self._witness = witness

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        await self._queue.send(messages, delay_s=delay_s)

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        leases = await self._queue.receive(lanes, limit=limit, lease_s=lease_s, wait_s=wait_s)
        await self._witness.granted(leases, lanes)
        return leases

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        kept = await self._queue.extend(leases, lease_s=lease_s)
        self._witness.held(kept)
        return kept

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        await self._queue.ack(leases)
        self._witness.released(leases)

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        await self._queue.drop(leases)
        self._witness.released(leases)

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        await self._queue.give_back(leases, delay_s=delay_s)
        self._witness.released(leases)

    @override
    async def depth(self, lane: Lane) -> Depth:
        return await self._queue.depth(lane)

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        return await self._queue.backlog(lane)


class WitnessedDelivery(Delivery):
    """A delivery in one step under the eyes of the witness."""

    def __init__(self, delivery: Delivery, witness: Witness) -> None:
        self._delivery = delivery
        self._witness = witness

    @override
    async def submit(self, new: NewJob) -> Added | Existing:
        return await self._delivery.submit(new)

    @override
    async def claim(
        self, lanes: Sequence[Lane], *, worker: str, limit: int, wait_s: float = 0.0
    ) -> list[Claim]:
        claims = await self._delivery.claim(lanes, worker=worker, limit=limit, wait_s=wait_s)
        await self._witness.granted([claim.lease for claim in claims], lanes)
        return claims

    @override
    async def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        kept = await self._delivery.renew(claims)
        self._witness.held([claim.lease for claim in kept])
        return kept

    @override
    async def settle(self, claim: Claim, settlement: Settlement) -> bool:
        written = await self._delivery.settle(claim, settlement)
        self._witness.released([claim.lease])
        return written

    @override
    async def reissue(self, job: Job) -> bool:
        return await self._delivery.reissue(job)

    @override
    async def redrive(self, job: Job, *, delay_s: float = 0.0) -> bool:
        return await self._delivery.redrive(job, delay_s=delay_s)


def _message(lease: Lease) -> tuple[JobId, Ticket]:
    return lease.message.job_id, lease.message.ticket
