"""Quotes hold what they say, whatever the shape of the load."""

import pytest

from tests.simulation.quotes import SHAPES, cover


@pytest.mark.no_cover
@pytest.mark.parametrize("shape", SHAPES)
def test_nine_of_ten_jobs_end_by_the_p90_of_their_quote(shape: str) -> None:
    # SPEC G8
    covered = cover(shape, jobs=2000, seed=1)
    assert covered.jobs == 1600
    assert 0.85 <= covered.p90 <= 0.95
    assert 0.35 <= covered.p50 <= 0.65
