"""What every delivery must do. Subclass `DeliverySuite` and give it a `stage` fixture."""

import asyncio
from dataclasses import dataclass
from itertools import count

import pytest

from headpond.domain import claim as rules
from headpond.domain.job import Job, JobError, JobState, Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.ports.audit import Audit, AuditQuery
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.jobs import Added, Existing, JobStore
from headpond.ports.queue import Power, Queue, message_of
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, needs
from headpond.testing.records import HOST, LONGEST, REQUEST, RESPONSE, a_job, new_job

LEASE_S = 10.0
MAX_LOST_LEASES = 2

FEW = 20
"""Refunds of one message; some stores take 4 ms for one."""


@dataclass(frozen=True)
class Stage:
    """A delivery with what it works on, all on one clock.

    Its leases must last `LEASE_S`, its bound of lost leases be `MAX_LOST_LEASES`.
    """

    delivery: Delivery
    jobs: JobStore
    queue: Queue
    audit: Audit
    clock: ManualClock


def two_steps(jobs: JobStore, queue: Queue, clock: Clock) -> TwoStepDelivery:
    """What the suite asks of a delivery, of any store and queue."""
    tickets = count(1)
    return TwoStepDelivery(
        jobs,
        queue,
        clock=clock,
        new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
        lease_s=LEASE_S,
        max_lost_leases=MAX_LOST_LEASES,
    )


class DeliverySuite:
    """The contract of `headpond.ports.delivery`. SPEC Q2 Q3."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def stage(self, clock: ManualClock) -> Stage:
        raise NotImplementedError("give the suite a stage on this clock")

    async def submit(self, stage: Stage, job: Job | None = None) -> Job:
        """Submit a job and return its record."""
        return (await stage.delivery.submit(new_job(job))).job

    async def claim(self, stage: Stage, *, limit: int = 10) -> list[Claim]:
        """Claim from both lanes without waiting."""
        return await stage.delivery.claim(lanes_of("default"), worker="w", limit=limit)

    def success(self, stage: Stage, claim: Claim) -> Settlement:
        """The settlement of an answered claim."""
        after = claim.job.succeeded(
            stage.clock.now(), engine="e", model_version="v", usage=Usage(1, 2)
        )
        return Settlement(job=after, response=RESPONSE)

    async def audited(self, stage: Stage) -> list[Job]:
        """The records in the audit log."""
        return [job async for job in stage.audit.jobs(AuditQuery())]

    async def assert_nothing_left(self, stage: Stage) -> None:
        """The lane holds no message."""
        depth = await stage.queue.depth(BATCH)
        assert (depth.ready, depth.leased, depth.delayed) == (0, 0, 0)

    async def test_a_submitted_job_is_queued_and_can_be_claimed(self, stage: Stage) -> None:
        stored = await stage.delivery.submit(new_job())
        assert isinstance(stored, Added)
        assert stored.job.state is JobState.QUEUED
        assert await stage.jobs.get(stored.job.id) == stored.job
        (claim,) = await self.claim(stage)
        assert claim.job == stored.job.claimed("w", stage.clock.now())
        assert claim.request == REQUEST

    async def test_one_key_makes_one_job_and_one_message(self, stage: Stage) -> None:
        first = await stage.delivery.submit(new_job(key="k"))
        again = await stage.delivery.submit(new_job(key="k"))
        assert isinstance(again, Existing)
        assert again.job == first.job
        assert (await stage.queue.depth(BATCH)).ready == 1

    @pytest.mark.parametrize("team", LONGEST)
    async def test_the_longest_names_go_all_the_way(self, stage: Stage, team: str) -> None:
        callback = f"https://{HOST}/hook"
        job = a_job(team=team, model=team, feature=team, callback=callback)
        added = await stage.delivery.submit(new_job(job, key="/" * 255))
        assert await stage.delivery.submit(new_job(a_job(team=team), key="/" * 255)) == Existing(
            added.job, "f"
        )
        (claim,) = await self.claim(stage)
        assert await stage.delivery.settle(claim, self.success(stage, claim))
        assert await self.audited(stage) == [await stage.jobs.get(job.id)]
        await self.assert_nothing_left(stage)

    async def test_a_settled_success_has_a_result_and_leaves_no_message(self, stage: Stage) -> None:
        await self.submit(stage)
        (claim,) = await self.claim(stage)
        settlement = self.success(stage, claim)
        assert await stage.delivery.settle(claim, settlement)
        assert await stage.jobs.get(claim.job.id) == settlement.job
        bodies = await stage.jobs.bodies(claim.job.id)
        assert bodies is not None
        assert bodies.response == RESPONSE
        await self.assert_nothing_left(stage)

    async def test_each_end_is_audited_once(self, stage: Stage) -> None:
        # SPEC A1
        await self.submit(stage)
        await self.submit(stage)
        one, two = await self.claim(stage)
        await stage.delivery.settle(one, self.success(stage, one))
        failure = two.job.failed(stage.clock.now(), JobError("code", "why"))
        await stage.delivery.settle(two, Settlement(job=failure))
        await stage.delivery.settle(two, Settlement(job=failure))
        assert [job.id for job in await self.audited(stage)] == [one.job.id, two.job.id]

    async def test_a_returned_job_is_claimed_again_after_its_delay(self, stage: Stage) -> None:
        await self.submit(stage)
        (claim,) = await self.claim(stage)
        back = Settlement(job=claim.job.returned(charged=True), delay_s=5)
        assert await stage.delivery.settle(claim, back)
        assert await self.claim(stage) == []
        stage.clock.advance(5)
        (again,) = await self.claim(stage)
        assert (again.job.attempts, again.job.lost_leases) == (2, 0)

    async def test_a_job_of_a_dead_worker_runs_again_uncharged(self, stage: Stage) -> None:
        # SPEC W5: the lease lapsed, and that is nobody's fault but the worker's.
        await self.submit(stage)
        await self.claim(stage)
        stage.clock.advance(LEASE_S)
        (again,) = await self.claim(stage)
        assert (again.job.attempts, again.job.lost_leases) == (1, 1)

    async def test_a_job_that_takes_its_workers_along_is_buried(self, stage: Stage) -> None:
        job = await self.submit(stage)
        for _ in range(MAX_LOST_LEASES + 1):
            assert len(await self.claim(stage)) == 1
            stage.clock.advance(LEASE_S)
        assert await self.claim(stage) == []
        buried = await stage.jobs.get(job.id)
        assert buried is not None
        assert buried.state is JobState.DEAD
        assert buried.error is not None
        assert buried.error.code == "workers_lost"
        await self.assert_nothing_left(stage)

    async def test_a_lost_lease_can_do_nothing(self, stage: Stage) -> None:
        # SPEC Q2: the zombie's result is thrown away, the second worker's stands.
        await self.submit(stage)
        (zombie,) = await self.claim(stage)
        stage.clock.advance(LEASE_S)
        (claim,) = await self.claim(stage)
        assert not await stage.delivery.settle(zombie, self.success(stage, zombie))
        assert await stage.jobs.get(claim.job.id) == claim.job
        assert await stage.delivery.settle(claim, self.success(stage, claim))
        assert len(await self.audited(stage)) == 1

    async def test_renewed_claims_stay_with_their_worker(self, stage: Stage) -> None:
        await self.submit(stage)
        claims = await self.claim(stage)
        for _ in range(5):
            stage.clock.advance(LEASE_S * 0.6)
            assert await stage.delivery.renew(claims) == claims
        assert await self.claim(stage) == []

    async def test_a_lapsed_claim_is_not_renewed(self, stage: Stage) -> None:
        await self.submit(stage)
        claims = await self.claim(stage)
        stage.clock.advance(LEASE_S)
        assert await stage.delivery.renew(claims) == []

    async def test_the_claim_of_a_cancelled_job_is_not_renewed(self, stage: Stage) -> None:
        await self.submit(stage)
        (claim,) = await self.claim(stage)
        assert await stage.jobs.swap(claim.job.cancelled(stage.clock.now()))
        assert await stage.delivery.renew([claim]) == []
        assert not await stage.delivery.settle(claim, self.success(stage, claim))
        await self.assert_nothing_left(stage)

    async def test_a_job_that_was_cancelled_in_its_lane_is_never_claimed(
        self, stage: Stage
    ) -> None:
        job = await self.submit(stage)
        assert await stage.jobs.swap(job.cancelled(stage.clock.now()))
        assert await self.claim(stage) == []
        await self.assert_nothing_left(stage)

    async def cancel(self, stage: Stage, team: str, jobs: int) -> None:
        """Submit so many jobs of a team and cancel them in their lane."""
        for _ in range(jobs):
            job = await self.submit(stage, a_job(team=team))
            assert await stage.jobs.swap(job.cancelled(stage.clock.now()))

    @pytest.mark.parametrize("limit", [1, 4])
    async def test_what_a_team_cancelled_costs_others_no_turn(
        self, stage: Stage, limit: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # SPEC Q8
        needs(stage.queue, Power.FAIR)
        monkeypatch.setattr(rules, "REFUNDED", FEW)
        await self.cancel(stage, "cancelled", 3 * FEW)
        await self.claim(stage, limit=limit)
        live = await self.submit(stage, a_job(team="live"))
        claimed = await self.claim(stage, limit=limit)
        claimed += await self.claim(stage, limit=limit)
        assert [claim.job.id for claim in claimed] == [live.id]

    async def test_what_was_cancelled_gives_its_place_in_a_claim_to_others(
        self, stage: Stage
    ) -> None:
        await self.cancel(stage, "one", 20)
        (first, second) = [await self.submit(stage, a_job(team="one")) for _ in range(2)]
        claims = await self.claim(stage, limit=2)
        assert {claim.job.id for claim in claims} == {first.id, second.id}

    async def test_an_overdue_job_expires_instead_of_running(self, stage: Stage) -> None:
        # SPEC Q6
        job = await self.submit(stage, a_job(deadline=stage.clock.now() + 5))
        stage.clock.advance(5)
        assert await self.claim(stage) == []
        expired = await stage.jobs.get(job.id)
        assert expired is not None
        assert expired.state is JobState.EXPIRED
        await self.assert_nothing_left(stage)

    async def test_an_accepted_job_whose_message_was_lost_is_sent_again(self, stage: Stage) -> None:
        # SPEC G7: a crash between record and message.
        job = a_job()
        await stage.jobs.add(new_job(job))
        assert await stage.delivery.reissue(job)
        (claim,) = await self.claim(stage)
        assert claim.job.id == job.id

    async def test_of_two_messages_of_one_job_only_the_newest_counts(self, stage: Stage) -> None:
        job = a_job()
        await stage.jobs.add(new_job(job))
        await stage.queue.send([message_of(job)])
        assert await stage.delivery.reissue(job)
        (claim,) = await self.claim(stage)
        await stage.delivery.settle(claim, self.success(stage, claim))
        assert await self.claim(stage) == []
        await self.assert_nothing_left(stage)

    async def test_a_job_that_was_claimed_in_time_is_not_reissued(self, stage: Stage) -> None:
        job = a_job()
        await stage.jobs.add(new_job(job))
        await stage.queue.send([message_of(job)])
        assert len(await self.claim(stage)) == 1
        assert not await stage.delivery.reissue(job)

    async def bury(self, stage: Stage) -> Job:
        """Submit a job and let it die."""
        await self.submit(stage)
        (claim,) = await self.claim(stage)
        dead = claim.job.buried(stage.clock.now(), JobError("engine_error", "why"))
        assert await stage.delivery.settle(claim, Settlement(job=dead))
        return dead

    async def test_a_redriven_job_runs_again_under_its_id(self, stage: Stage) -> None:
        # SPEC Q5
        dead = await self.bury(stage)
        assert await stage.delivery.redrive(dead, delay_s=5)
        assert await self.claim(stage) == []
        stage.clock.advance(5)
        (claim,) = await self.claim(stage)
        assert (claim.job.id, claim.job.attempts) == (dead.id, 1)
        assert [death.error for death in claim.job.deaths] == [dead.error]
        assert await stage.delivery.settle(claim, self.success(stage, claim))
        assert [job.state for job in await self.audited(stage)] == [JobState.SUCCEEDED]
        await self.assert_nothing_left(stage)

    async def test_a_redriven_job_is_queued_from_when_it_is_ready(self, stage: Stage) -> None:
        dead = await self.bury(stage)
        assert await stage.delivery.redrive(dead, delay_s=5)
        job = await stage.jobs.get(dead.id)
        assert job is not None
        assert job.queued_at == stage.clock.now() + 5

    async def test_of_two_that_redrive_one_job_one_does(self, stage: Stage) -> None:
        dead = await self.bury(stage)
        redriven = (stage.delivery.redrive(dead) for _ in range(5))
        assert sum(await asyncio.gather(*redriven)) == 1
        assert len(await self.claim(stage)) == 1
        await stage.jobs.swap(dead.discarded(stage.clock.now()))
        assert not await stage.delivery.redrive(dead)

    async def test_a_message_of_an_unknown_job_is_dropped(self, stage: Stage) -> None:
        await stage.queue.send([message_of(a_job())])
        assert await self.claim(stage) == []
        await self.assert_nothing_left(stage)

    async def test_a_waiting_claim_wakes_when_a_job_is_submitted(self, stage: Stage) -> None:
        lanes = lanes_of("default")
        waiting = asyncio.create_task(stage.delivery.claim(lanes, worker="w", limit=1, wait_s=30))
        await asyncio.sleep(0)
        job = await self.submit(stage)
        assert [claim.job.id for claim in await waiting] == [job.id]

    async def test_concurrent_claims_share_out_the_work(self, stage: Stage) -> None:
        submitted = [await self.submit(stage) for _ in range(30)]
        taken = await asyncio.gather(*(self.claim(stage, limit=4) for _ in range(10)))
        ids = [claim.job.id for claims in taken for claim in claims]
        assert sorted(ids) == sorted(job.id for job in submitted)
