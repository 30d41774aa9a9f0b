"""What a pool has to do, in workers.

    needed = arriving * headroom + shortfall / target wait

The shortfall is what will wait when workers that are asked for now are ready, a cold start from
now: what waits already, and what arrives until then beyond what the present crew does. A policy
that looks only at what waits now asks for too few, or too late.

Arrivals go into the shortfall at the median of the latest quarters of the window. So a steady rise
is seen within a minute, and a heap of jobs that comes at once is not taken for one that goes on.
"""

import math
from itertools import pairwise

import msgspec

from headpond.domain.scaling.arrivals import Arrivals, Count
from headpond.domain.scaling.observation import Crew, Observation

WINDOW_S = 120.0
"""Of what arrived in so long the rate is taken; shorter where workers are let go faster."""

ROUNDING = 1e-6
"""So that three workers that are just enough do not become four by an error in the last digit."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """In what one worker does: `arriving` and `steady` a second, `queued` in seconds of it.

    `steady` is the part of what arrives that goes on as far as can be seen.
    """

    arriving: float
    steady: float
    queued: float

    def shortfall(self, crew: Crew, ahead_s: float, now: float) -> float:
        """Worker-seconds that will wait in `ahead_s` seconds, the length of a cold start."""
        done = crew.ready * ahead_s
        for asked_at in crew.starting:
            done += min(ahead_s, max(0.0, now - asked_at))
        return max(0.0, self.queued + self.steady * ahead_s - done)


def demand_in_jobs(seen: Observation, arrivals: Arrivals, window_s: float) -> Demand | None:
    """Every job counts the same. None while something that it takes is unknown."""
    if seen.waiting is None or seen.rate is None or seen.rate.jobs <= 0:
        return None
    marks = [(count.at, count.jobs) for count in _quarters(arrivals, window_s)]
    queued = max(0, seen.waiting.jobs - seen.running)
    return _demand(marks, queued, seen.rate.jobs)


def demand_in_tokens(seen: Observation, arrivals: Arrivals, window_s: float) -> Demand | None:
    """Long jobs count for more. None while something that it takes is unknown."""
    if seen.waiting is None or seen.rate is None or seen.rate.work_tokens <= 0:
        return None
    marks = [(count.at, count.work_tokens) for count in _quarters(arrivals, window_s)]
    jobs = max(1, seen.waiting.jobs)
    queued = seen.waiting.work_tokens * max(0, jobs - seen.running) / jobs
    return _demand(marks, queued, seen.rate.work_tokens)


def whole(workers: float) -> int:
    """The least number of workers that is enough."""
    return max(0, math.ceil(workers - ROUNDING))


def _quarters(arrivals: Arrivals, window_s: float) -> list[Count]:
    return [arrivals.ago(window_s / 4 * quarter) for quarter in range(5)]


def _demand(marks: list[tuple[float, float]], queued: float, rate: float) -> Demand:
    arriving = _per_s(marks[0], marks[-1])
    quarters = sorted(_per_s(later, earlier) for later, earlier in pairwise(marks))
    steady = (quarters[1] + quarters[2]) / 2
    return Demand(
        arriving=arriving / rate, steady=min(arriving, steady) / rate, queued=queued / rate
    )


def _per_s(later: tuple[float, float], earlier: tuple[float, float]) -> float:
    span_s = later[0] - earlier[0]
    return (later[1] - earlier[1]) / span_s if span_s > 0 else 0.0
