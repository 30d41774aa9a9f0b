"""A policy that knows what will come: a mean of the minute that a machine asked for now would meet.

What waits already is to be gone within a minute. It is no bound: it looks ahead by one cold start
and one minute only, and keeps a head-room. What bounds is `optimum.py`.
"""

import math
from collections.abc import Sequence

from typing_extensions import override

from headpond.simulator.scalers.scaler import Change, Scaler, Sight

AHEAD_S = 60.0


class Forecast(Scaler):
    """`work_s` is the work of each step of `step_s` seconds, from `epoch` (Unix seconds) on."""

    def __init__(
        self,
        work_s: Sequence[float],
        *,
        step_s: float,
        epoch: float,
        cold_start_s: float,
        most: int = 10,
        headroom: float = 1.05,
    ) -> None:
        self._sums = [0.0]
        for work in work_s:
            self._sums.append(self._sums[-1] + work)
        self._step_s = step_s
        self._epoch = epoch
        self._cold_start_s = cold_start_s
        self._most = most
        self._headroom = headroom

    @property
    @override
    def every_s(self) -> float:
        return 30.0

    @override
    def look(self, sight: Sight, now: float) -> Change:
        busy = max(self._busy(now), self._busy(now + self._cold_start_s))
        if sight.seen.rate is not None:
            busy += sight.visible / sight.seen.rate.jobs / AHEAD_S
        return Change(
            min(self._most, math.ceil(busy * self._headroom)), f"{busy:.2f} workers' work comes"
        )

    def _busy(self, at: float) -> float:
        last = len(self._sums) - 1
        first = min(last, int((at - self._epoch) / self._step_s))
        until = min(last, first + int(AHEAD_S / self._step_s))
        if until == first:
            return 0.0
        return (self._sums[until] - self._sums[first]) / ((until - first) * self._step_s)
