"""Scaling without a queue, on what a load balancer or a host tells (AWS target tracking).

    Cpu            the CPU of a machine whose GPU works: `IDLE` to `FULL` of it, as the article has
                   it (GPU 98 %, CPU 20 %)
    RequestCount   requests a minute and machine

An alarm needs three periods of a minute above the target, and fifteen below nine tenths of it; the
size is then what would bring the metric to the target. (AWS, Target tracking scaling policies.)
"""

import math
from collections import deque

from typing_extensions import override

from headpond.simulator.scalers.scaler import Change, Scaler, Sight

PERIOD_S = 60.0
OUT_PERIODS = 3
IN_PERIODS = 15
IN_BELOW = 0.9
IDLE_CPU = 0.05
FULL_CPU = 0.20


class Tracking(Scaler):
    """Keeps a metric at its target."""

    def __init__(self, target: float, *, least: int = 1, most: int = 10) -> None:
        self._target = target
        self._least = least
        self._most = most
        self._metrics: deque[float] = deque(maxlen=IN_PERIODS)

    @property
    @override
    def every_s(self) -> float:
        return PERIOD_S

    @override
    def look(self, sight: Sight, now: float) -> Change:
        metric, size = self.metric(sight), sight.size
        self._metrics.append(metric)
        known = list(self._metrics)
        why = f"{metric:.3g} of {self._target:.3g}"
        high = len(known) >= OUT_PERIODS and min(known[-OUT_PERIODS:]) > self._target
        low = len(known) == IN_PERIODS and max(known) < self._target * IN_BELOW
        if not (high or low):
            return Change(max(self._least, size), why)
        self._metrics.clear()
        wanted = math.ceil(max(known[-OUT_PERIODS:]) / self._target * size)
        wanted = max(size, wanted) if high else max(size - 1, wanted)
        return Change(max(self._least, min(self._most, wanted)), why)

    def metric(self, sight: Sight) -> float:
        """What is tracked, now."""
        raise NotImplementedError


class Cpu(Tracking):
    """CPU utilization, 0 to 1."""

    def __init__(self, target: float = 0.6, *, least: int = 1, most: int = 10) -> None:
        super().__init__(target, least=least, most=most)

    @override
    def metric(self, sight: Sight) -> float:
        return IDLE_CPU + (FULL_CPU - IDLE_CPU) * sight.utilization


class RequestCount(Tracking):
    """Requests a minute for each serving machine; `target` is some share of what one can do."""

    def __init__(self, target: float, *, least: int = 1, most: int = 10) -> None:
        super().__init__(target, least=least, most=most)
        self._arrived = 0

    @override
    def metric(self, sight: Sight) -> float:
        arrived = 0 if sight.seen.arrived is None else sight.seen.arrived.jobs
        came, self._arrived = arrived - self._arrived, arrived
        serving = 1 if sight.seen.crew is None else max(1, sight.seen.crew.ready)
        return came / serving
