"""Token buckets."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from headpond.domain.ratelimit import WINDOW_S, Bucket, full

RATES = st.integers(1, 10_000)
SPANS = st.integers(-100, 10_000).map(float)


def test_a_full_bucket_takes_a_burst_and_then_fills_evenly() -> None:
    empty = full(60, now=0.0).taken(60)

    assert empty.remaining == 0
    assert empty.wait_s(1) == 1.0
    assert empty.filled(30.0).remaining == 30
    assert empty.reset_s == WINDOW_S
    assert empty.filled(1_000.0) == full(60, now=1_000.0)


def test_what_never_fits_waits_for_ever() -> None:
    assert full(10, now=0.0).wait_s(11) == math.inf


@given(RATES, SPANS)
def test_a_clock_that_jumps_back_adds_nothing(per_minute: int, back_s: float) -> None:
    bucket = Bucket(per_minute, 0.0, 0.0)

    assert bucket.filled(-abs(back_s)).level == 0.0


@given(RATES, st.integers(1, 10_000), st.floats(0, 1))
def test_after_the_wait_the_amount_fits(per_minute: int, amount: int, share: float) -> None:
    assume(amount <= per_minute)
    bucket = Bucket(per_minute, per_minute * share, 0.0)

    wait_s = bucket.wait_s(amount)

    assert 0 <= wait_s <= WINDOW_S
    # Beyond the rounding of floats.
    assert bucket.filled(wait_s + 1e-6).wait_s(amount) <= 1e-6


@given(RATES, st.lists(st.tuples(SPANS, st.integers(1, 100)), max_size=50))
def test_no_history_takes_more_than_a_burst_and_the_average(
    per_minute: int, history: list[tuple[float, int]]
) -> None:
    bucket, now, elapsed_s, taken = full(per_minute, 0.0), 0.0, 0.0, 0
    for span_s, amount in history:
        now += span_s
        elapsed_s += max(0.0, span_s)
        bucket = bucket.filled(now)
        if bucket.wait_s(amount) == 0.0:
            bucket = bucket.taken(amount)
            taken += amount

    assert taken <= per_minute * (1 + elapsed_s / WINDOW_S) + 1e-6
    assert 0 <= bucket.remaining <= per_minute


def test_what_was_taken_for_nothing_comes_back() -> None:
    bucket = full(10, 0.0).taken(4)
    assert bucket.given_back(4).remaining == 10
    assert bucket.given_back(40).remaining == 10
