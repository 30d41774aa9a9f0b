"""What token buckets must do. Subclass `BucketsSuite` and give it a `stage` fixture."""

import asyncio
from dataclasses import dataclass

import pytest

from headpond.domain.ratelimit import WINDOW_S, full
from headpond.ports.buckets import Buckets, Draw
from headpond.testing.clocks import ManualClock


@dataclass(frozen=True)
class BucketStage:
    """The buckets as two gateways reach them, each with its own clock."""

    one: Buckets
    other: Buckets
    clock: ManualClock
    other_clock: ManualClock


def requests(amount: int, per_minute: int = 10) -> Draw:
    """A draw from the bucket of requests."""
    return Draw("requests", per_minute, amount)


def tokens(amount: int, per_minute: int = 600) -> Draw:
    """A draw from the bucket of tokens."""
    return Draw("tokens", per_minute, amount)


class BucketsSuite:
    """The contract of `headpond.ports.buckets`. SPEC G6."""

    @pytest.fixture
    async def stage(self) -> BucketStage:
        raise NotImplementedError("give the suite buckets and their clocks")

    async def left(self, buckets: Buckets, team: str = "team") -> float:
        """What is in the bucket of requests."""
        return (await buckets.take(team, [requests(0)])).buckets[0].level

    async def test_a_new_bucket_is_full(self, stage: BucketStage) -> None:
        drawn = await stage.one.take("team", [requests(0), tokens(0)])
        now = stage.clock.now()
        assert drawn.taken
        assert drawn.buckets == [full(10, now), full(600, now)]

    async def test_what_one_takes_the_other_lacks(self, stage: BucketStage) -> None:
        assert (await stage.one.take("team", [requests(7)])).taken
        drawn = await stage.other.take("team", [requests(2)])
        assert (drawn.taken, drawn.buckets[0].level) == (True, 1.0)
        assert not (await stage.one.take("team", [requests(2)])).taken
        assert await self.left(stage.other) == 1.0

    async def test_all_is_taken_or_nothing(self, stage: BucketStage) -> None:
        drawn = await stage.one.take("team", [requests(1), tokens(601)])
        assert not drawn.taken
        assert [bucket.level for bucket in drawn.buckets] == [10.0, 600.0]
        assert await self.left(stage.one) == 10.0

    async def test_a_bucket_fills_with_time_and_not_above_its_limit(
        self, stage: BucketStage
    ) -> None:
        await stage.one.take("team", [requests(10)])
        stage.clock.advance(3)
        assert await self.left(stage.one) == pytest.approx(0.5)
        stage.clock.advance(1000)
        assert await self.left(stage.one) == 10.0

    async def test_teams_and_limits_have_buckets_of_their_own(self, stage: BucketStage) -> None:
        await stage.one.take("team", [requests(10)])
        assert await self.left(stage.one, "other") == 10.0
        drawn = await stage.one.take("team", [requests(5, per_minute=20)])
        assert drawn.buckets[0].level == 15.0

    async def test_what_is_given_back_does_not_overflow(self, stage: BucketStage) -> None:
        await stage.one.take("team", [requests(4)])
        await stage.other.give_back("team", [requests(3)])
        assert await self.left(stage.one) == 9.0
        await stage.one.give_back("team", [requests(3)])
        assert await self.left(stage.one) == 10.0

    async def test_clocks_that_are_apart_fill_no_faster(self, stage: BucketStage) -> None:
        stage.other_clock.advance(-5)
        await stage.one.take("team", [requests(10)])
        for _ in range(3):
            assert (await stage.other.take("team", [requests(0)])).buckets[0].level == 0.0
            await stage.other.take("team", [requests(1)])
            assert await self.left(stage.one) == 0.0
        stage.clock.advance(6)
        assert await self.left(stage.one) == pytest.approx(1.0)

    async def test_a_clock_that_jumped_far_back_fills_on(self, stage: BucketStage) -> None:
        await stage.one.take("team", [requests(10)])
        stage.clock.advance(-10 * WINDOW_S)
        await stage.one.give_back("team", [requests(1)])
        stage.clock.advance(6)
        assert await self.left(stage.one) == pytest.approx(2.0)

    async def test_of_many_at_once_no_more_pass_than_fit(self, stage: BucketStage) -> None:
        draws = [requests(1), tokens(1)]
        some = (stage.one.take("team", draws) for _ in range(12))
        others = (stage.other.take("team", draws) for _ in range(12))
        assert sum(drawn.taken for drawn in await asyncio.gather(*some, *others)) == 10
