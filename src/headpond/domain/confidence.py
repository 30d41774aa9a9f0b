"""How sure an engine was of an answer as a whole."""

import math
from collections.abc import Sequence


def sequence_probability(logprobs: Sequence[float]) -> float | None:
    """The probability of the whole token sequence; None when there are no tokens to judge by.

    The chain rule: the product of the tokens' conditional probabilities, so long answers score
    lower than short ones by nature. Engines that round may report a hair more than 0 for a sure
    token, hence the cap at 1.
    """
    if not logprobs:
        return None
    return math.exp(min(0.0, math.fsum(logprobs)))
