"""The article's two ways to scale on queue depth.

WorkerScaler   its Python: every 30 s, ceil(visible / 50), 120 s up, 600 s down
StepAlarms     its Terraform: an alarm at more than 100 visible in two minutes adds one machine,
               an alarm at none in ten minutes takes one; metrics come once a minute, and a
               minute late
"""

import math
from collections import deque

from typing_extensions import override

from headpond.simulator.scalers.scaler import Change, Scaler, Sight

CLOUDWATCH_PERIOD_S = 60.0
"""SQS sends its metrics once a minute (AWS, Amazon SQS Developer Guide, CloudWatch metrics)."""


class WorkerScaler(Scaler):
    """Messages in flight are not visible, so it does not count them."""

    def __init__(
        self,
        *,
        most: int = 10,
        least: int = 0,
        messages_per_worker: int = 50,
        up_cooldown_s: float = 120.0,
        down_cooldown_s: float = 600.0,
    ) -> None:
        self._most = most
        self._least = least
        self._messages_per_worker = messages_per_worker
        self._up_cooldown_s = up_cooldown_s
        self._down_cooldown_s = down_cooldown_s
        self._raised_at = self._lowered_at = -math.inf

    @property
    @override
    def every_s(self) -> float:
        return 30.0

    @override
    def look(self, sight: Sight, now: float) -> Change:
        size, visible = sight.size, math.floor(sight.visible + 1e-6)
        wanted = math.ceil(visible / self._messages_per_worker)
        wanted = max(self._least, min(self._most, wanted))
        why = f"{visible} messages are visible, a worker for each {self._messages_per_worker}"
        if wanted > size and now - self._raised_at >= self._up_cooldown_s:
            self._raised_at = now
            return Change(wanted, why)
        if wanted < size and now - self._lowered_at >= self._down_cooldown_s:
            self._lowered_at = now
            return Change(wanted, why)
        return Change(size, why)


class StepAlarms(Scaler):
    """CloudWatch alarms and step scaling of one machine."""

    def __init__(
        self, *, most: int = 10, least: int = 0, deep: float = 100.0, cooldown_s: float = 120.0
    ) -> None:
        self._most = most
        self._least = least
        self._deep = deep
        self._cooldown_s = cooldown_s
        self._depths: deque[float] = deque(maxlen=11)
        self._changed_at = -math.inf

    @property
    @override
    def every_s(self) -> float:
        return CLOUDWATCH_PERIOD_S

    @override
    def look(self, sight: Sight, now: float) -> Change:
        self._depths.append(sight.visible)
        known, size = list(self._depths)[:-1], sight.size
        deep = len(known) > 1 and min(known[-2:]) > self._deep
        empty = len(known) == 10 and max(known) < 1  # noqa: PLR2004 - periods of the alarm
        if now - self._changed_at < self._cooldown_s or not (deep or empty):
            return Change(size, "no alarm, or in its cooldown")
        self._changed_at = now
        if deep:
            return Change(min(self._most, size + 1), f"over {self._deep:g} visible for two minutes")
        return Change(max(self._least, size - 1), "nothing visible for ten minutes")
