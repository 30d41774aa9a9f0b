"""What the audit log teaches a pool's policy."""

import pytest
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.scaling import MemoryScalingStore
from headpond.domain.job import JobState
from headpond.domain.quote import Backlog
from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.memory import Memory
from headpond.domain.scaling.season import SLOT_S, Season, slot
from headpond.domain.scaling.state import ScalingState
from headpond.errors import InvalidRequest
from headpond.services.hindsight import learn
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job


class Busy(MemoryScalingStore):
    """Somebody else decides between the first look and the first write."""

    looks = 0

    @override
    async def state(self, pool: str) -> ScalingState:
        state = await super().state(pool)
        self.looks += 1
        if self.looks == 1:
            past = Arrivals().noted(Backlog(7, 7), 1.0)
            after = state.decided(
                Memory(target=3, past=Season(arrivals=past)),
                why="work waits",
                now=1.0,
                leader="b",
                leased_until=9.0,
                spending=None,
                began_in_s={"w": 90.0},
            )
            assert await self.swap(after)
        return state


class Stage:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = MemoryJobStore(self.clock)
        self.audit = MemoryAudit(self.jobs)
        self.scaling = Busy()

    async def ended(self, count: int, *, slots_ago: int, pool: str = "default") -> None:
        at = (slot(self.clock.now()) - slots_ago) * SLOT_S
        for _ in range(count):
            job = a_job(
                pool=pool,
                accepted_at=at,
                state=JobState.SUCCEEDED,
                finished_at=self.clock.now(),
            )
            await self.jobs.add(new_job(job))

    async def learnt(self) -> int:
        return await learn("default", self.audit, self.scaling, self.clock)


async def test_the_jobs_of_the_pool_are_rates_beside_what_else_is_known() -> None:  # SPEC S6
    stage = Stage()
    await stage.ended(300, slots_ago=3)
    await stage.ended(600, slots_ago=1)
    await stage.ended(5, slots_ago=2, pool="other")
    await stage.ended(5, slots_ago=0)
    await stage.ended(5, slots_ago=9_999)
    assert await stage.learnt() == 900
    state = await stage.scaling.state("default")
    assert (state.version, state.leader, state.memory.target) == (2, "b", 3)
    past = state.memory.past
    assert isinstance(past, Season)
    assert past.rates == (1.0, 0.0, 2.0)
    assert past.arrivals.counts[-1].jobs == 7


async def test_a_pool_that_nobody_asked_teaches_nothing() -> None:
    stage = Stage()
    await stage.ended(5, slots_ago=2, pool="other")
    with pytest.raises(InvalidRequest, match="No job of the pool 'default' ended in the last 8"):
        await stage.learnt()
    assert (await stage.scaling.state("default")).version == 0
