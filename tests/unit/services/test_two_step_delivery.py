"""Whatever step of a delivery is the last: lapse and reaper see the job to its end.

Every verb is cut off at every call that it makes to its ports, before the call's effect and after.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.job import Job, JobError, JobId, JobState, Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.errors import Unavailable
from headpond.ports.audit import AuditQuery
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim
from headpond.ports.jobs import Added, Bodies, Existing, JobStore, NewJob
from headpond.ports.queue import Message, Queue, message_of
from headpond.services.broadcast import Broadcast
from headpond.services.reaper import Reaper
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.clocks import ManualClock
from headpond.testing.faults import Crash, Faults, When, behind
from headpond.testing.queue_suite import BATCH
from headpond.testing.records import RESPONSE, a_job, new_job

LEASE_S = 10.0
GRACE_S = 5.0
LANES = lanes_of("default")


def two_steps(jobs: JobStore, queue: Queue, clock: Clock) -> TwoStepDelivery:
    tickets = count(1)
    return TwoStepDelivery(
        jobs,
        queue,
        clock=clock,
        new_ticket=lambda: Ticket(f"again-{next(tickets)}"),
        lease_s=LEASE_S,
        max_lost_leases=2,
    )


class World:
    """Two steps on memory, behind faults."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.faults = Faults()
        self.jobs = MemoryJobStore(self.clock)
        self.queue = MemoryQueue(self.clock)
        self.audit = MemoryAudit(self.jobs)
        self.delivery = two_steps(
            behind(self.jobs, self.faults),
            behind(self.queue, self.faults),
            self.clock,
        )
        self.reaper = Reaper(
            self.jobs,
            self.delivery,
            clock=self.clock,
            listener=Broadcast(),
            accepted_grace_s=GRACE_S,
        )
        self.job = a_job(accepted_at=self.clock.now())

    async def submit(self) -> Job:
        return (await self.delivery.submit(new_job(self.job, key="k"))).job

    async def claim(self) -> Claim:
        (claim,) = await self.delivery.claim(LANES, worker="w", limit=1)
        return claim

    async def heal(self) -> None:
        """What goes on anyway: leases lapse, the reaper looks, workers work."""
        for _ in range(3):
            self.clock.advance(LEASE_S)
            await self.reaper.tick()
            for claim in await self.delivery.claim(LANES, worker="healthy", limit=10):
                assert await self.delivery.settle(claim, succeeded(self, claim))

    async def assert_at_its_end(self) -> None:
        """The job has ended, once, and no message is left of it."""
        job = await self.jobs.get(self.job.id)
        assert job is not None
        assert job.state.terminal
        assert job.attempts <= job.max_attempts
        assert [job async for job in self.audit.jobs(AuditQuery())] == [job]
        depth = await self.queue.depth(BATCH)
        assert (depth.ready, depth.leased, depth.delayed) == (0, 0, 0)


def succeeded(world: World, claim: Claim) -> Settlement:
    after = claim.job.succeeded(world.clock.now(), engine="e", usage=Usage(1, 2))
    return Settlement(job=after, response=RESPONSE)


def failed(world: World, claim: Claim) -> Settlement:
    return Settlement(job=claim.job.failed(world.clock.now(), JobError("code", "why")))


def returned(world: World, claim: Claim) -> Settlement:
    del world
    return Settlement(job=claim.job.returned(charged=True), delay_s=3.0)


Step = Callable[[], Awaitable[object]]
Case = Callable[[World], Awaitable[Step]]


async def submitting(world: World) -> Step:
    return world.submit


async def claiming(world: World) -> Step:
    await world.submit()
    return world.claim


async def claiming_what_is_overdue(world: World) -> Step:
    world.job = a_job(accepted_at=world.clock.now(), deadline=world.clock.now() + 5)
    await world.submit()
    world.clock.advance(5)
    return lambda: world.delivery.claim(LANES, worker="w", limit=1)


async def claiming_two_messages_of_one_job(world: World) -> Step:
    await world.jobs.add(new_job(world.job, key="k"))
    await world.queue.send([message_of(world.job)])
    await world.delivery.reissue(world.job)
    return lambda: world.delivery.claim(LANES, worker="w", limit=2)


async def reissuing(world: World) -> Step:
    await world.jobs.add(new_job(world.job, key="k"))
    return lambda: world.delivery.reissue(world.job)


def settling(settlement: Callable[[World, Claim], Settlement]) -> Case:
    async def case(world: World) -> Step:
        await world.submit()
        claim = await world.claim()
        return lambda: world.delivery.settle(claim, settlement(world, claim))

    return case


CASES: dict[str, Case] = {
    "submit": submitting,
    "claim": claiming,
    "claim of an overdue job": claiming_what_is_overdue,
    "claim of two messages": claiming_two_messages_of_one_job,
    "settle a success": settling(succeeded),
    "settle a failure": settling(failed),
    "settle a return": settling(returned),
    "reissue": reissuing,
}
MOST_CALLS = 8
"""More than any verb makes to its ports for one job."""


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("case", CASES)
async def test_wherever_it_is_cut_off_a_job_reaches_its_end(case: str, when: When) -> None:
    # SPEC G7 Q3
    await cut_off_everywhere(case, when)


@pytest.mark.parametrize("settlement", ["settle a success", "settle a return"])
async def test_an_acknowledgement_before_the_record_would_be_found(
    settlement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def acknowledge_first(self: Any, claim: Claim, settlement: Settlement) -> bool:
        await self._queue.ack([claim.lease])
        return await self._jobs.swap(settlement.job, settlement.response)

    monkeypatch.setattr(TwoStepDelivery, "settle", acknowledge_first)
    with pytest.raises(AssertionError):
        await cut_off_everywhere(settlement, "before")


async def test_a_message_before_the_record_would_be_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def send_first(self: Any, new: NewJob) -> Added:
        await self._queue.send([message_of(new.job)])
        await self._jobs.add(new)
        return Added(new.job)

    monkeypatch.setattr(TwoStepDelivery, "submit", send_first)
    with pytest.raises(AssertionError):
        await cut_off_everywhere("submit", "after")


async def cut_off_everywhere(case: str, when: When) -> None:
    """Cut the case off at each call, heal, and look."""
    crashes = 0
    for call in range(MOST_CALLS):
        world = World()
        step = await CASES[case](world)
        world.faults.arm(call, when)
        with suppress(Crash):
            await step()
        crashes += world.faults.struck
        world.faults.arm(None)
        await world.heal()
        if await world.jobs.get(world.job.id) is not None:
            await world.assert_at_its_end()
        else:
            assert (case, when, call) == ("submit", "before", 0)
    assert 1 < crashes < MOST_CALLS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("settlement", [succeeded, failed, returned])
async def test_a_settlement_can_be_tried_again(
    settlement: Callable[[World, Claim], Settlement], when: When
) -> None:
    # As a worker does while the store or the queue does not answer.
    for call in range(3):
        world = World()
        await world.submit()
        claim = await world.claim()
        decided = settlement(world, claim)
        world.faults.arm(call, when, Unavailable("away", code="store_unavailable"))
        with suppress(Unavailable):
            await world.delivery.settle(claim, decided)
        world.faults.arm(None)
        assert await world.delivery.settle(claim, decided)
        assert await world.jobs.get(claim.job.id) == decided.job
        assert (await world.queue.depth(BATCH)).leased == 0
        await world.heal()
        await world.assert_at_its_end()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_settlement_that_was_cut_off_can_be_followed_by_another(when: When) -> None:
    # A worker that stops hands back what it could not settle.
    for call in range(3):
        world = World()
        await world.submit()
        claim = await world.claim()
        world.faults.arm(call, when)
        with suppress(Crash):
            await world.delivery.settle(claim, returned(world, claim))
        world.faults.arm(None)
        await world.delivery.settle(claim, Settlement(job=claim.job.returned(charged=False)))
        await world.heal()
        await world.assert_at_its_end()


async def test_a_submit_that_was_cut_off_is_found_under_its_key(world: World) -> None:
    world.faults.arm(1)
    with suppress(Crash):
        await world.submit()
    again = await world.delivery.submit(new_job(key="k"))
    assert isinstance(again, Existing)
    assert again.job == world.job


async def test_a_submit_returns_the_record_of_a_worker_that_was_faster(world: World) -> None:
    class FastWorker(MemoryQueue):
        @override
        async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
            await super().send(messages, delay_s=delay_s)
            await world.jobs.swap(world.job.claimed("fast", world.clock.now()))

    delivery = two_steps(world.jobs, FastWorker(world.clock), world.clock)
    stored = await delivery.submit(new_job(world.job))
    assert isinstance(stored, Added)
    assert stored.job == world.job.claimed("fast", world.clock.now())


@pytest.mark.parametrize("deadline", [None, 1_000_000.0])
async def test_a_claim_that_loses_a_race_judges_again(world: World, deadline: float | None) -> None:
    job = a_job(deadline=deadline)

    class Rival(MemoryJobStore):
        """Cancels the job between a claim's look and its swap."""

        @override
        async def swap(self, after: Job, response: bytes | None = None) -> bool:
            if after.state in {JobState.RUNNING, JobState.EXPIRED}:
                stands = await self.get(after.id)
                assert stands is not None
                await super().swap(stands.cancelled(world.clock.now()))
            return await super().swap(after, response)

    jobs = Rival(world.clock)
    delivery = two_steps(jobs, world.queue, world.clock)
    await delivery.submit(new_job(job))
    assert await delivery.claim(LANES, worker="w", limit=1) == []
    ended = await jobs.get(job.id)
    assert ended is not None
    assert ended.state is JobState.CANCELLED
    assert (await world.queue.depth(BATCH)).leased == 0


@pytest.mark.parametrize("fault", ["away", "slow", "missing"])
async def test_a_job_whose_request_cannot_be_had_waits_and_is_charged_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("headpond.services.two_step_delivery.READ_PART", 1e-4)

    class Elsewhere(MemoryJobStore):
        there = False

        @override
        async def bodies(self, job_id: JobId) -> Bodies | None:
            if self.there:
                return await super().bodies(job_id)
            if fault == "away":
                raise Unavailable("no answer", code="bodies_unavailable")
            if fault == "slow":
                await asyncio.Event().wait()
            return None

    jobs = Elsewhere(world.clock)
    delivery = two_steps(jobs, world.queue, world.clock)
    await delivery.submit(new_job(world.job))
    for _ in range(20):
        with pytest.raises(Unavailable):
            await delivery.claim(LANES, worker="w", limit=1)
        world.clock.advance(LEASE_S)
    jobs.there = True
    (claim,) = await delivery.claim(LANES, worker="w", limit=1)
    assert (claim.job.attempts, claim.job.lost_leases) == (1, 0)


@pytest.mark.parametrize(
    "error", [Unavailable("no answer", code="store_unavailable"), ValueError("unreadable")]
)
async def test_a_job_that_cannot_be_claimed_costs_those_beside_it_nothing(
    world: World, error: Exception
) -> None:
    sick = JobId("job-3")

    class Sick(MemoryJobStore):
        @override
        async def swap(self, after: Job, response: bytes | None = None) -> bool:
            if after.id == sick and after.state is JobState.RUNNING:
                raise error
            return await super().swap(after, response)

    delivery = two_steps(Sick(world.clock), world.queue, world.clock)
    for number in range(8):
        await delivery.submit(new_job(a_job(id=f"job-{number}")))
    claims = await delivery.claim(LANES, worker="w", limit=8)
    assert {claim.job.id for claim in claims} == {f"job-{n}" for n in range(8)} - {sick}
    for claim in claims:
        assert await delivery.settle(claim, succeeded(world, claim))
    world.clock.advance(LEASE_S)
    with pytest.raises(type(error)):
        await delivery.claim(LANES, worker="w", limit=8)


async def test_a_settlement_leaves_a_message_alone_that_somebody_else_works_on(
    world: World,
) -> None:
    await world.submit()
    zombie = await world.claim()
    taken_over = zombie.job.claimed("other", world.clock.now())
    assert await world.jobs.swap(taken_over)
    assert not await world.delivery.settle(zombie, succeeded(world, zombie))
    assert await world.jobs.get(world.job.id) == taken_over
    assert (await world.queue.depth(BATCH)).leased == 1


async def test_only_claims_that_stand_are_renewed(world: World) -> None:
    await world.submit()
    claim = await world.claim()
    assert await world.delivery.renew([claim]) == [claim]
    await world.jobs.swap(claim.job.cancelled(world.clock.now()))
    assert await world.delivery.renew([claim]) == []
    world.clock.advance(LEASE_S)
    assert await world.delivery.renew([claim]) == []


async def test_a_reissue_that_comes_late_sends_nothing(world: World) -> None:
    await world.submit()
    assert not await world.delivery.reissue(world.job)
    assert (await world.queue.depth(BATCH)).ready == 1


async def test_a_message_whose_job_was_erased_during_the_claim_is_dropped() -> None:
    clock = ManualClock()

    class ErasedMeanwhile(MemoryJobStore):
        @override
        async def bodies(self, job_id: JobId) -> Bodies | None:
            running = await self.get(job_id)
            assert running is not None
            cancelled = running.cancelled(clock.now())
            assert await self.swap(cancelled)
            assert await self.erase(cancelled.erased(clock.now()))
            return await super().bodies(job_id)

    jobs, queue = ErasedMeanwhile(clock), MemoryQueue(clock)
    delivery = two_steps(jobs, queue, clock)
    job = (await delivery.submit(new_job())).job
    assert await delivery.claim(LANES, worker="w", limit=1) == []
    clock.advance(LEASE_S)
    depth = await queue.depth(job.lane)
    assert (depth.ready, depth.leased) == (0, 0)
