"""The offline optimum: the least that any schedule could pay, had it known the whole trace.

What is bounded: paid machine time of schedules of whole machines, where a machine pays its cold
start before it serves and then does one second of work a second, such that at most `late_share` of
the requests wait longer than `target_s`. What is relaxed, each in favour of the schedule, so that
no real one can be cheaper:

    time      goes in steps as long as the target. Requests of a step may be served from its
              beginning, and are in time until the end of the next step: up to twice the target
    sizes     the requests of one step are taken to be alike; work is counted in quarters of what a
              machine does in a step, sums of arrivals rounded up and of what is due down
    late      requests that are late cost no work, and the end of the trace leaves what it leaves
    starts    come early enough: whoever knows the trace asks for a machine one cold start before

It is dynamic programming over (machines, backlog). The share of late requests is a constraint on
the whole, so it is priced: at a price of p machine-seconds for each late request the least of
(paid + p * late) - p * allowed is a bound, whatever p (Lagrange); the greatest of several is taken.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise, repeat
from operator import add

import msgspec

from headpond.simulator.fluid import STEP_S, Demand, Setting

GRAIN = 4
"""Units of work that a machine does in a step."""

DEAREST = 1024.0
CHEAPEST = 1.0
PROBES = 6
GOLDEN = (math.sqrt(5) - 1) / 2


COMPARABLE_H = 0.05
"""A bound below three minutes of a machine, which tables show as 0.0, is all rounding."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """Machine hours that no schedule goes below: with some late, and with all in time."""

    late_share: float
    with_late_h: float
    all_in_time_h: float

    def times(self, hours: float) -> float | None:
        """Hours over those with some late; None where these are too few to compare with."""
        return hours / self.with_late_h if self.with_late_h >= COMPARABLE_H else None


class _Steps(msgspec.Struct, frozen=True):
    """By step: units that arrive, most units that may be left, late requests for a unit."""

    arriving: list[int]
    allowed: list[int]
    requests: list[float]


def offline_bound(setting: Setting, demand: Demand, late_share: float = 0.005) -> Bound:
    """The bounds for a trace, beginning with the setting's warm machines."""
    steps = _steps(setting, demand)
    total = sum(come.requests for come in demand.bins)
    program = _Program(
        steps,
        step_s=setting.target_wait_s,
        cold_start_s=setting.cold_start.shortest_s,
        warm=setting.warm,
    )

    def bound(price: float) -> float:
        return program.least(price) - price * late_share * total

    # At the price 0 nothing is served, and that is free.
    highest = max(0.0, _highest(bound)) if late_share > 0 else 0.0
    strict = program.least(math.inf)
    return Bound(
        late_share=late_share,
        with_late_h=(highest if late_share > 0 else strict) / 3600,
        all_in_time_h=strict / 3600,
    )


def _steps(setting: Setting, demand: Demand) -> _Steps:
    every = max(1, round(setting.target_wait_s / STEP_S))
    unit_s = setting.target_wait_s / GRAIN
    firsts = range(0, len(demand.bins), every)
    work = [sum(demand.work_s[first : first + every]) / unit_s for first in firsts]
    count = [sum(come.requests for come in demand.bins[first : first + every]) for first in firsts]
    sums = list(accumulate(work, initial=0.0))
    came = [math.ceil(done - 1e-9) for done in sums]
    due = [0, *(math.floor(done + 1e-9) for done in sums[:-1])]
    # At the end of step k all that came before it must be done: of what came by then the rest may
    # be left.
    return _Steps(
        arriving=[after - before for before, after in pairwise(came)],
        allowed=[came[step + 1] - due[step + 1] for step in range(len(work))],
        requests=[
            number / units if units else 0.0
            for number, units in zip([0.0, *count], [0.0, *work], strict=True)
        ][:-1],
    )


class _Program:
    """Least cost by (machines, units left), step by step."""

    def __init__(self, steps: _Steps, *, step_s: float, cold_start_s: float, warm: int) -> None:
        self._steps = steps
        self._step_s = step_s
        self._cold_start_s = cold_start_s
        self._most = max(1, math.ceil(max(steps.arriving, default=0) / GRAIN), warm)
        self._warm = warm

    def least(self, price: float) -> float:
        """Machine-seconds, late requests at a price; infinite: none may be late."""
        rows = [
            [max(0, machines - self._warm) * self._cold_start_s]
            for machines in range(self._most + 1)
        ]
        steps = self._steps
        for arriving, allowed, requests in zip(
            steps.arriving, steps.allowed, steps.requests, strict=True
        ):
            late = price * requests if requests else price
            paid = 0.0
            for machines, row in enumerate(rows):
                rows[machines] = _step(row, arriving - GRAIN * machines, allowed, late, paid)
                paid += self._step_s
            self._change(rows)
        return min(map(min, rows))

    def _change(self, rows: list[list[float]]) -> None:
        """Machines may start, each for a cold start, and stop for nothing."""
        start_s = repeat(self._cold_start_s)
        for fewer, more in pairwise(range(self._most + 1)):
            rows[more] = list(map(min, rows[more], map(add, rows[fewer], start_s)))
        for fewer in range(self._most - 1, -1, -1):
            rows[fewer] = list(map(min, rows[fewer], rows[fewer + 1]))


def _step(row: list[float], more: int, allowed: int, late: float, paid: float) -> list[float]:
    """Costs by what is left after a step that adds `more` units (fewer than none: takes)."""
    if more < 0:
        row = [min(row[: 1 - more]), *row[1 - more :]]
    elif more > 0:
        row = [math.inf] * more + row
    if len(row) > allowed + 1:
        over = row[allowed + 1 :]
        edge = min(row[allowed], *_dearer(over, late))
        row = [*row[:allowed], edge]
    elif len(row) <= allowed:
        row = row + [math.inf] * (allowed + 1 - len(row))
    return [cost + paid for cost in row] if paid else row


def _dearer(over: Sequence[float], late: float) -> list[float]:
    """Costs of what is left beyond what is allowed, each unit of it late."""
    if late == math.inf:
        return [math.inf]
    return [cost + late * units for units, cost in enumerate(over, 1)]


def _highest(bound: Callable[[float], float]) -> float:
    """The greatest of a concave function of the price, by golden section over its logarithm."""
    low, high = math.log(CHEAPEST), math.log(DEAREST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = bound(math.exp(left)), bound(math.exp(right))
    highest = max(at_left, at_right)
    for _ in range(PROBES):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = bound(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = bound(math.exp(right))
        highest = max(highest, at_left, at_right)
    return highest
