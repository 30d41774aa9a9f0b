"""Rate limits of each team."""

import pytest

from headpond.adapters.memory.buckets import SWEEP_AT_LEAST, MemoryBuckets
from headpond.domain.identity import Identity, Limits
from headpond.errors import InvalidRequest, RateLimited
from headpond.services.rate_limits import Allowance, RateLimits
from headpond.settings import LimitSettings
from headpond.testing.clocks import ManualClock

TEAM = Identity("team")
TWO = Limits(requests_per_minute=2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_without_limits_everything_passes(clock: ManualClock) -> None:
    limits = RateLimits(LimitSettings(), MemoryBuckets(clock))

    assert await limits.take(TEAM, 10**9) == Allowance(None, None)


async def test_a_burst_passes_and_then_the_average(clock: ManualClock) -> None:  # SPEC G6
    limits = RateLimits(LimitSettings(default=TWO), MemoryBuckets(clock))
    await limits.take(TEAM, 1)
    second = await limits.take(TEAM, 1)
    assert second.requests
    assert second.requests.remaining == 0

    with pytest.raises(RateLimited) as raised:
        await limits.take(TEAM, 1)
    assert raised.value.retry_after_s == 30.0
    assert (raised.value.unit, raised.value.limit, raised.value.remaining) == ("requests", 2, 0)

    clock.advance(30)
    await limits.take(TEAM, 1)


async def test_teams_do_not_share_a_bucket(clock: ManualClock) -> None:
    limits = RateLimits(LimitSettings(default=Limits(requests_per_minute=1)), MemoryBuckets(clock))
    await limits.take(TEAM, 1)
    await limits.take(Identity("other"), 1)


async def test_a_keys_limits_go_before_its_teams_and_these_before_the_default(
    clock: ManualClock,
) -> None:
    settings = LimitSettings(
        default=Limits(requests_per_minute=1), teams={"team": Limits(requests_per_minute=5)}
    )
    limits = RateLimits(settings, MemoryBuckets(clock))

    async def limit_of(identity: Identity) -> int | None:
        requests = (await limits.take(identity, 1)).requests
        return requests.per_minute if requests else None

    assert await limit_of(Identity("other")) == 1
    assert await limit_of(TEAM) == 5
    assert await limit_of(Identity("team", limits=Limits(requests_per_minute=9))) == 9
    assert await limit_of(Identity("team", limits=Limits())) is None


async def test_what_is_refused_takes_from_no_bucket(clock: ManualClock) -> None:
    limits = RateLimits(
        LimitSettings(default=Limits(requests_per_minute=2, tokens_per_minute=100)),
        MemoryBuckets(clock),
    )
    await limits.take(TEAM, 90)
    with pytest.raises(RateLimited):
        await limits.take(TEAM, 20)

    left = await limits.take(TEAM, 10)
    assert left.requests
    assert left.requests.remaining == 0


async def test_what_can_never_pass_is_the_requests_fault(clock: ManualClock) -> None:
    limits = RateLimits(LimitSettings(default=Limits(tokens_per_minute=100)), MemoryBuckets(clock))
    with pytest.raises(InvalidRequest) as raised:
        await limits.take(TEAM, 101)
    assert raised.value.code == "request_exceeds_limit"


async def test_a_key_of_another_limit_does_not_fill_the_bucket(clock: ManualClock) -> None:
    limits = RateLimits(LimitSettings(), MemoryBuckets(clock))
    narrow = Identity("team", limits=Limits(requests_per_minute=1))
    wide = Identity("team", limits=Limits(requests_per_minute=2))
    await limits.take(narrow, 1)
    await limits.take(wide, 1)

    with pytest.raises(RateLimited):
        await limits.take(narrow, 1)
    await limits.take(wide, 1)


async def test_full_buckets_are_not_kept(clock: ManualClock) -> None:
    buckets = MemoryBuckets(clock)
    limits = RateLimits(LimitSettings(default=TWO), buckets)
    for number in range(SWEEP_AT_LEAST - 1):
        await limits.take(Identity(f"team {number}"), 1)
    clock.advance(60)
    await limits.take(TEAM, 1)

    assert len(buckets._buckets) == 1


async def test_a_look_at_the_allowance_takes_nothing(clock: ManualClock) -> None:
    limits = RateLimits(LimitSettings(default=TWO), MemoryBuckets(clock))

    assert await limits.allowance(TEAM) == await limits.allowance(TEAM)
    assert await limits.take(TEAM, 1) == await limits.allowance(TEAM)


async def test_what_was_taken_for_nothing_is_given_back(clock: ManualClock) -> None:
    limits = RateLimits(LimitSettings(default=TWO), MemoryBuckets(clock))
    before = await limits.allowance(TEAM)
    await limits.take(TEAM, 1)
    await limits.give_back(TEAM, 1)
    assert await limits.allowance(TEAM) == before
    await RateLimits(LimitSettings(), MemoryBuckets(clock)).give_back(TEAM, 1)
