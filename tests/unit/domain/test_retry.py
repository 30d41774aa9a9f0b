"""Back-off grows, is bounded and is spread."""

from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.retry import RetryPolicy, backoff_s

POLICY = RetryPolicy(first_delay_s=1.0, max_delay_s=60.0)


def test_the_delay_doubles() -> None:
    assert [backoff_s(POLICY, attempts, 1.0) for attempts in (1, 2, 3)] == [1.0, 2.0, 4.0]


@given(attempts=st.integers(1, 10**6), chance=st.floats(0, 1, exclude_max=True))
def test_the_delay_stays_in_the_upper_half_below_its_bound(attempts: int, chance: float) -> None:
    ceiling = min(60.0, 2.0 ** min(attempts - 1, 62))
    assert ceiling / 2 <= backoff_s(POLICY, attempts, chance) <= ceiling
