"""Token buckets in this process's memory."""

from collections.abc import Sequence

from typing_extensions import override

from headpond.domain.ratelimit import Bucket, full
from headpond.ports.buckets import Buckets, Draw, Drawn
from headpond.ports.clock import Clock

SWEEP_AT_LEAST = 1024
"""Fewer buckets than this are not worth a look."""


class MemoryBuckets(Buckets):
    """Keeps those that are not full; a full one is like a new one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, int], Bucket] = {}
        self._sweep_at = SWEEP_AT_LEAST

    @override
    async def take(self, team: str, draws: Sequence[Draw]) -> Drawn:
        buckets = [self._current(team, draw) for draw in draws]
        pairs = list(zip(buckets, draws, strict=True))
        if any(draw.amount > bucket.level for bucket, draw in pairs):
            return Drawn(taken=False, buckets=buckets)
        taken = [bucket.taken(draw.amount) for bucket, draw in pairs]
        for bucket, draw in zip(taken, draws, strict=True):
            self._put(team, draw, bucket)
        return Drawn(taken=True, buckets=taken)

    @override
    async def give_back(self, team: str, draws: Sequence[Draw]) -> None:
        for draw in draws:
            self._put(team, draw, self._current(team, draw).given_back(draw.amount))

    def _current(self, team: str, draw: Draw) -> Bucket:
        now = self._clock.now()
        bucket = self._buckets.get((team, draw.unit, draw.per_minute))
        return full(draw.per_minute, now) if bucket is None else bucket.filled(now)

    def _put(self, team: str, draw: Draw, bucket: Bucket) -> None:
        if not draw.amount:
            return
        self._buckets[team, draw.unit, draw.per_minute] = bucket
        if len(self._buckets) >= self._sweep_at:
            self._sweep(bucket.at)

    def _sweep(self, now: float) -> None:
        self._buckets = {
            name: bucket for name, bucket in self._buckets.items() if bucket.filled(now).reset_s > 0
        }
        # Twice of what is left, so that a request pays for a constant number of looks.
        self._sweep_at = max(SWEEP_AT_LEAST, 2 * len(self._buckets))
