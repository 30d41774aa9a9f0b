"""The autoscaler over a store, a queue and a fleet in memory."""

from collections.abc import Sequence

import pytest
from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.scaling import MemoryScalingStore
from headpond.adapters.memory.workload import MemoryWorkload
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import Lane, Priority
from headpond.domain.pace import WorkerReport
from headpond.domain.scaling.members import Member
from headpond.domain.scaling.observation import Orders
from headpond.domain.scaling.rules import ScalingRules
from headpond.errors import Unavailable
from headpond.ports.fleet import Fleet
from headpond.ports.queue import Depth, Message, message_of
from headpond.services.autoscaler import Autoscaler
from headpond.services.broadcast import Broadcast
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job


class ListedFleet(Fleet):
    """Workers are a list; what drains is gone at once."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.listed: list[Member] = []

    @override
    async def members(self) -> list[Member]:
        return list(self.listed)

    @override
    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        for name in first_to_go[: max(0, len(self.listed) - target)]:
            self.listed = [member for member in self.listed if member.name != name]
        while len(self.listed) < target:
            self.listed.append(Member(f"w{len(self.listed)}", self._clock.now()))

    @override
    async def close(self) -> None:
        self.listed = []


class MutableQueue(MemoryQueue):
    """Does not answer while it is `away`."""

    away = False

    @override
    async def depth(self, lane: Lane) -> Depth:
        if self.away:
            raise Unavailable("away", code="store_unavailable")
        return await super().depth(lane)


class Stage:
    def __init__(self, rules: ScalingRules) -> None:
        self.rules = rules
        self.clock = ManualClock()
        self.queue = MutableQueue(self.clock)
        self.jobs = MemoryJobStore(self.clock)
        self.roster = MemoryRoster()
        self.store = MemoryScalingStore()
        self.fleet = ListedFleet(self.clock)

    def scaler(self, name: str = "a") -> Autoscaler:
        return Autoscaler(
            "default",
            self.rules,
            queue=self.queue,
            workload=MemoryWorkload(self.queue, self.jobs),
            roster=self.roster,
            store=self.store,
            fleet=self.fleet,
            name=name,
            lease_s=30,
            keep_s=3_600,
            clock=self.clock,
            listener=Broadcast(()),
        )

    async def send(self, count: int) -> None:
        lane = Lane("default", Priority.INTERACTIVE)
        await self.queue.send(
            [Message(JobId(f"j{n}"), Ticket(f"t{n}"), lane, "team", 100) for n in range(count)]
        )

    async def report(self, started_at: float) -> None:
        """Of a worker that ran something."""
        await self.roster.report(
            WorkerReport(
                worker="w0",
                pool="default",
                at=self.clock.now(),
                started_at=started_at,
                healthy=True,
                in_flight=0,
                capacity=4,
                token_s=0.01,
                run_s=1.0,
                cold_start_s=10.0,
            )
        )


async def test_jobs_wake_workers_and_the_cold_start_is_measured() -> None:  # SPEC S3
    stage = Stage(ScalingRules())
    scaler = stage.scaler()
    await stage.send(120)
    decision = await scaler.tick()
    assert decision is not None
    assert len(stage.fleet.listed) == decision.target == 3
    stage.clock.advance(25)
    await stage.report(stage.clock.now() - 15)
    await scaler.tick()
    assert (await stage.store.state("default")).cold_starts == (20.0,)


async def test_a_queue_that_does_not_answer_holds_the_fleet() -> None:  # SPEC S2
    stage = Stage(ScalingRules(down_cooldown_s=0))
    scaler = stage.scaler()
    await stage.send(120)
    await scaler.tick()
    stage.queue.away = True
    stage.clock.advance(10_000)
    decision = await scaler.tick()
    assert decision is not None
    assert decision.target == len(stage.fleet.listed) == 3


async def test_one_leads_and_another_takes_over_when_it_is_silent_or_stops() -> None:
    stage = Stage(ScalingRules())
    first, second = stage.scaler("a"), stage.scaler("b")
    assert await first.tick() is not None
    assert await second.tick() is None
    await second.stop()
    await first.stop()
    assert await second.tick() is not None
    stage.clock.advance(31)
    assert await first.tick() is not None


async def test_an_order_counts_and_the_step_tells_why() -> None:
    stage = Stage(ScalingRules(usd_per_worker_hour=1.0, max_usd_per_hour=2.0, policy="deadline"))
    scaler = stage.scaler()
    await stage.store.swap((await stage.store.state("default")).ordered(Orders(workers=5)))
    await scaler.tick()
    (step,) = await stage.store.steps("default", 9)
    assert len(stage.fleet.listed) == step.target
    assert 2 <= step.target <= 5
    assert "an operator" in step.why or "money" in step.why


async def test_the_state_has_the_reason_of_the_latest_decision_though_no_step_is_kept() -> None:
    stage = Stage(ScalingRules(min=2))
    scaler = stage.scaler()
    await stage.store.swap((await stage.store.state("default")).ordered(Orders(workers=2)))
    await scaler.tick()
    assert "an operator" in (await stage.store.state("default")).why
    await stage.store.swap((await stage.store.state("default")).ordered(Orders()))
    await scaler.tick()
    stage.clock.advance(2)
    await scaler.tick()
    state = await stage.store.state("default")
    assert "an operator" not in state.why
    assert state.decided_at == stage.clock.now()
    assert "an operator" in (await stage.store.steps("default", 1))[0].why


@pytest.mark.parametrize(
    "rules", [ScalingRules(policy="deadline"), ScalingRules(policy="predictive")]
)
async def test_work_for_tonight_wakes_one_worker(rules: ScalingRules) -> None:
    stage = Stage(rules)
    tonight = stage.clock.now() + 12 * 3_600
    for _ in range(500):
        job = a_job(accepted_at=stage.clock.now(), deadline=tonight)
        await stage.jobs.add(new_job(job))
        await stage.queue.send([message_of(job)])
    await stage.report(stage.clock.now() - 15)
    await stage.scaler().tick()
    assert len(stage.fleet.listed) == 1


async def test_who_was_overtaken_in_the_middle_of_a_look_moves_nothing() -> None:
    stage = Stage(ScalingRules())
    first, second = stage.scaler("a"), stage.scaler("b")
    await stage.send(120)
    members = stage.fleet.members

    async def slowly() -> list[Member]:
        stage.fleet.members = members
        stage.clock.advance(60)
        assert await second.tick() is not None
        return await members()

    await first.tick()
    fleet = list(stage.fleet.listed)
    stage.fleet.members = slowly
    await stage.send(500)
    assert await first.tick() is None
    assert len(stage.fleet.listed) >= len(fleet)
