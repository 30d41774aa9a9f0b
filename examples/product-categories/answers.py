"""What an engine answers, and how a set of answers is judged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENT = 0.92
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's text and how sure it was.

    `probability` is that of the whole answer: e to the sum of its tokens' log-probabilities, the
    end-of-turn token left out, as some engines report it and others do not.
    """

    text: str
    probability: float

    @property
    def is_confident(self) -> bool:
        """Whether the answer may be used without a person looking at it."""
        return self.probability >= CONFIDENT


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `total`, such as an accuracy."""

    right: int
    total: int

    def __str__(self) -> str:
        """Return the percentage with its 95 % interval."""
        low, high = wilson_interval(self)
        return f"{self.right / self.total:.2%} [{low:.2%}, {high:.2%}] ({self.right}/{self.total})"


@dataclass(frozen=True, slots=True)
class Report:
    """How good the answers are, over all of them and over those given with confidence."""

    accuracy: Share
    confident: Share
    confident_accuracy: Share


def judge(answers: Sequence[Answer], categories: Sequence[str]) -> Report:
    """Compare the answers with the true categories, letter for letter."""
    pairs = list(zip(answers, categories, strict=True))
    hits = [answer.text == category for answer, category in pairs]
    sure = [answer.text == category for answer, category in pairs if answer.is_confident]
    return Report(
        accuracy=Share(sum(hits), len(hits)),
        confident=Share(len(sure), len(hits)),
        confident_accuracy=Share(sum(sure), len(sure)),
    )


def wilson_interval(share: Share) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Unlike the usual plus-or-minus it stays between 0 and 1 when the proportion is close to 1.
    """
    n, z2 = share.total, NORMAL_95**2
    if n == 0:
        return 0.0, 1.0
    p = share.right / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    return centre - half, centre + half
