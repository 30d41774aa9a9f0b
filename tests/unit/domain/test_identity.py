"""Ids that sort by time."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.identity import time_ordered_id

TIMES = st.floats(0, 2**48 / 1000 - 1)
BITS = st.integers(0, 2**80 - 1)


@given(TIMES, BITS)
def test_an_id_is_a_uuid_of_version_7(now: float, bits: int) -> None:
    made = UUID(time_ordered_id(now, bits))

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == int(now * 1000)


@given(TIMES, TIMES, BITS, BITS)
def test_ids_sort_by_the_millisecond(first: float, second: float, a: int, b: int) -> None:
    earlier, later = sorted([int(first * 1000), int(second * 1000)])
    if earlier < later:
        assert time_ordered_id(earlier / 1000, a) <= time_ordered_id(later / 1000 + 0.0005, b)


@given(TIMES, BITS, BITS)
def test_other_random_bits_make_another_id(now: float, a: int, b: int) -> None:
    used = 2**74 - 1
    same = a & used == b & used

    assert (time_ordered_id(now, a) == time_ordered_id(now, b)) == same
