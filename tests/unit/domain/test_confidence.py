import math

import pytest

from headpond.domain.confidence import sequence_probability


def test_a_sequence_is_as_likely_as_all_its_tokens_together():
    assert sequence_probability([math.log(0.5), math.log(0.8)]) == pytest.approx(0.4)


def test_without_tokens_nothing_is_known():
    assert sequence_probability([]) is None


def test_no_rounding_makes_an_answer_more_than_certain():
    assert sequence_probability([1e-7, 0.0]) == 1.0


def test_an_impossible_token_makes_the_answer_impossible():
    assert sequence_probability([-0.1, -9999.0]) == 0.0
