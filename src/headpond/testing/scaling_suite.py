"""What a store of scaling must do. Subclass `ScalingStoreSuite`, give it a `scaling` fixture."""

import pytest

from headpond.domain.scaling.memory import High, Memory
from headpond.domain.scaling.observation import Crew, Observation, Orders
from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.ports.scaling import ScalingStore

NOW = 1_000_000.0

LATER = NOW + 8 * 86_400
"""A store may leave old steps for a week to a service that removes them by itself."""


def a_step(at: float, *, pool: str = "default") -> ScalingStep:
    """A decision with something seen."""
    seen = Observation(crew=Crew(ready=1, starting=(at - 5,)))
    return ScalingStep(pool=pool, at=at, before=1, target=2, why="more came", seen=seen)


class ScalingStoreSuite:
    """The contract of `headpond.ports.scaling`."""

    @pytest.fixture
    async def scaling(self) -> ScalingStore:
        raise NotImplementedError("give the suite a store")

    async def test_a_pool_begins_with_a_new_state(self, scaling: ScalingStore) -> None:
        assert await scaling.state("default") == ScalingState(pool="default")

    async def test_a_state_comes_back_as_it_was_written(self, scaling: ScalingStore) -> None:
        memory = Memory(target=3, raised_at=NOW, highs=(High(NOW, 3),))
        after = ScalingState(pool="default").decided(
            memory,
            why="work waits",
            now=NOW,
            leader="a",
            leased_until=NOW + 30,
            spending=None,
            began_in_s={"w": 20.0},
        )
        assert await scaling.swap(after)
        assert await scaling.state("default") == after
        assert await scaling.state("other") == ScalingState(pool="other")

    async def test_of_two_who_read_the_same_state_one_changes_it(
        self, scaling: ScalingStore
    ) -> None:
        read = await scaling.state("default")
        assert await scaling.swap(read.ordered(Orders(paused=True)))
        assert not await scaling.swap(read.ordered(Orders(workers=9)))
        assert (await scaling.state("default")).orders == Orders(paused=True)

    async def test_a_state_follows_the_one_that_stands_and_no_other(
        self, scaling: ScalingStore
    ) -> None:
        first = ScalingState(pool="default").ordered(Orders(workers=1))
        assert not await scaling.swap(first.ordered(Orders(workers=2)))
        assert await scaling.swap(first)
        assert not await scaling.swap(first)
        assert await scaling.swap(first.released())
        assert (await scaling.state("default")).version == 2

    async def test_the_last_steps_of_a_pool_are_told_newest_first(
        self, scaling: ScalingStore
    ) -> None:
        for at in (NOW, NOW + 2, NOW + 1):
            await scaling.note(a_step(at))
        await scaling.note(a_step(NOW + 9, pool="other"))
        assert await scaling.steps("default", 2) == [a_step(NOW + 2), a_step(NOW + 1)]

    async def test_old_steps_are_forgotten(self, scaling: ScalingStore) -> None:
        for at in (NOW, NOW + 1, LATER):
            await scaling.note(a_step(at))
        assert await scaling.forget(LATER) == 2
        assert await scaling.steps("default", 9) == [a_step(LATER)]
