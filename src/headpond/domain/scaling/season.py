"""What arrives by the time of day and of the week.

A forecast for a slot of five minutes is what arrives now, changed as it changed between the same
two times a day, or a week, ago. It is trusted only while it would have been nearer to the truth
lately than to say that nothing changes.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import repeat

import msgspec
from msgspec.structs import replace

from headpond.domain.scaling.arrivals import Arrivals, Count

SLOT_S = 300.0
DAY = round(86_400 / SLOT_S)
WEEK = 7 * DAY
KEEP = WEEK + DAY
TRUST_AFTER = DAY // 4
"""Forecasts that must have been compared with what came before one is believed."""


def slot(at: float) -> int:
    """The number of the slot that a Unix time is in."""
    return int(at // SLOT_S)


class Pattern(StrEnum):
    """What a forecast supposes."""

    STEADY = "nothing changes"
    DAILY = "it changes as a day ago"
    WEEKLY = "it changes as a week ago"


BACK = {Pattern.DAILY: DAY, Pattern.WEEKLY: WEEK}


class Score(msgspec.Struct, frozen=True, array_like=True):
    """How wrong forecasts were: the mean square, of about the last day, and of how many."""

    square: float = 0.0
    count: int = 0

    def after(self, error: float) -> "Score":
        """With one more error; as long as there are few, their plain mean."""
        count = self.count + 1
        return Score(self.square + (error * error - self.square) / min(count, DAY), count)


class Season(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Jobs a second in each slot of the last eight days; `begun` is where the present one began.

    `number` counts slots since 1970. The last of `rates` is that of the slot before it.
    """

    arrivals: Arrivals = Arrivals()
    number: int | None = None
    begun: Count | None = None
    rates: tuple[float, ...] = ()
    scores: dict[Pattern, Score] = {}

    def noted(self, arrivals: Arrivals, lead_s: float, now: float) -> "Season":
        """With the latest counts. When a slot ends, forecasts made `lead_s` before are scored."""
        latest, number = arrivals.counts[-1], slot(now)
        if self.number is None or self.begun is None or latest.jobs < self.begun.jobs:
            unseen = 0 if self.number is None else number - self.number
            rates = (*self.rates, *repeat(self.rates[-1], unseen)) if self.rates else ()
            return replace(
                self, arrivals=arrivals, number=number, begun=latest, rates=rates[-KEEP:]
            )
        ended = number - self.number
        if ended <= 0:
            return replace(self, arrivals=arrivals)
        rate = (latest.jobs - self.begun.jobs) / (latest.at - self.begun.at)
        season = replace(self, arrivals=arrivals, number=number, begun=latest)
        rates = (*self.rates, *repeat(rate, min(ended, KEEP)))[-KEEP:]
        lead = max(1, math.ceil(lead_s / SLOT_S))
        return replace(season, rates=rates, scores=_scored(self.scores, rates, lead))

    def forecast(
        self, arriving: float, now: float, *, after_s: float, span_s: float
    ) -> tuple[float, Pattern]:
        """The most jobs a second in a span that begins so much later, and what that supposes."""
        pattern = self._trusted()
        if pattern is Pattern.STEADY or self.number is None:
            return arriving, Pattern.STEADY
        ends_s = (after_s, after_s + span_s)
        first, last = (int((now + end_s) // SLOT_S) - self.number + 1 for end_s in ends_s)
        forecasts = [_forecast(self.rates, pattern, arriving, n) for n in range(first, last + 1)]
        return max(arriving, *(f for f in forecasts if f is not None)), pattern

    def _trusted(self) -> Pattern:
        tried = {
            pattern: score.square
            for pattern, score in self.scores.items()
            if score.count >= TRUST_AFTER
        }
        return min(tried, key=lambda pattern: tried[pattern], default=Pattern.STEADY)


def learned(counts: Sequence[int], lead_s: float, until: int) -> Season:
    """What the jobs of slots teach, the last of them the one before slot `until`.

    Forecasts `lead_s` ahead are scored as if they had been made all the while.
    """
    rates = tuple(count / SLOT_S for count in counts)
    lead = max(1, math.ceil(lead_s / SLOT_S))
    scores: dict[Pattern, Score] = {}
    for number in range(len(rates)):
        scores = _scored(scores, rates[: number + 1], lead)
    return Season(number=until, rates=rates[-KEEP:], scores=scores)


def _forecast(
    rates: tuple[float, ...], pattern: Pattern, arriving: float, ahead: int
) -> float | None:
    """Of the slot `ahead` after the last of `rates`; None where there is no example."""
    if pattern is Pattern.STEADY:
        return arriving
    then = len(rates) - 1 - BACK[pattern]
    if then < 0 or ahead > BACK[pattern]:
        return None
    return max(0.0, arriving + rates[then + ahead] - rates[then])


def _scored(
    scores: dict[Pattern, Score], rates: tuple[float, ...], lead: int
) -> dict[Pattern, Score]:
    """With what was forecast for the last slot `lead` slots before."""
    truth, known = rates[-1], rates[:-lead]
    scored = dict(scores)
    for pattern in Pattern:
        guess = _forecast(known, pattern, known[-1], lead) if known else None
        if guess is not None:
            scored[pattern] = scores.get(pattern, Score()).after(guess - truth)
    return scored
