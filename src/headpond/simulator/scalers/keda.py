"""KEDA on a queue: the operator moves between zero and one, an HPA between one and the most.

    zero → one   at a poll (30 s) that finds anything
    one → zero   when no poll found anything for `cooldown_s`
    one ↔ most   every 15 s, ceil(waiting / messages_per_worker) as of the last poll, unless within
                 a tenth of what there is; at most doubled or four more within 15 s, and down to the
                 highest of the last 300 s

Sources: keda.sh, ScaledObject specification (pollingInterval 30, cooldownPeriod 300); Kubernetes,
Horizontal Pod Autoscaling (sync period 15 s, tolerance 0.1, default behaviour). KEDA's scalers for
SQS, Service Bus and Pub/Sub count what is in flight, too.
"""

import math
from collections import deque

from typing_extensions import override

from headpond.simulator.scalers.scaler import Change, Scaler, Sight

SYNC_S = 15.0
POLL_S = 30.0
WINDOW_S = 300.0
TOLERANCE = 0.1
STEP = 4


class Keda(Scaler):
    """The rules of the module's page."""

    def __init__(
        self, *, most: int = 10, messages_per_worker: int = 50, cooldown_s: float = 600.0
    ) -> None:
        self._most = most
        self._messages_per_worker = messages_per_worker
        self._cooldown_s = cooldown_s
        self._polled_at = self._active_at = -math.inf
        self._waiting = 0
        self._wanted: deque[tuple[float, int]] = deque()

    @property
    @override
    def every_s(self) -> float:
        return SYNC_S

    @override
    def look(self, sight: Sight, now: float) -> Change:
        if now - self._polled_at >= POLL_S:
            waiting = sight.seen.waiting
            self._polled_at, self._waiting = now, 0 if waiting is None else waiting.jobs
            if self._waiting:
                self._active_at = now
        size, why = sight.size, f"{self._waiting} messages"
        if size == 0:
            return Change(1 if self._waiting else 0, why)
        if now - self._active_at >= self._cooldown_s:
            return Change(0, f"nothing for {self._cooldown_s:g} s")
        return Change(self._hpa(size, now), why)

    def _hpa(self, size: int, now: float) -> int:
        ratio = self._waiting / self._messages_per_worker / size
        wanted = size if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * size)
        wanted = max(1, min(self._most, wanted, max(2 * size, size + STEP)))
        self._wanted.append((now, wanted))
        while self._wanted[0][0] <= now - WINDOW_S:
            self._wanted.popleft()
        return max(size, wanted) if wanted > size else max(number for _, number in self._wanted)
