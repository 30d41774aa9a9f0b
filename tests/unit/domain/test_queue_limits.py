"""What a queue takes is told in words."""

import math

import pytest

from headpond.domain.queue_limits import span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "not at all"),
        (90, "90 s"),
        (900, "15 minutes"),
        (43_200, "12 hours"),
        (1_209_600, "14 days"),
        (math.inf, "any"),
    ],
)
def test_a_span_is_told_in_the_longest_unit_that_it_is_whole_in(seconds: float, words: str) -> None:
    assert span(seconds) == words
