"""How fast work arrives, from a count that only rises."""

from bisect import bisect_right
from typing import NamedTuple

import msgspec

from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Rate

KEEP_S = 900.0
"""How far back a rate can be asked for."""

GRAIN_S = 10.0
"""Counts are kept no closer than this, however often one is read."""


class Count(NamedTuple):
    """What had ever arrived by `at`."""

    at: float
    jobs: int
    work_tokens: float


class Arrivals(msgspec.Struct, frozen=True):
    """Counts of the last quarter of an hour, the oldest first."""

    counts: tuple[Count, ...] = ()

    def noted(self, arrived: Backlog, now: float) -> "Arrivals":
        """With what had arrived by now. A count that fell was begun anew, so the old ones go."""
        latest = Count(now, arrived.jobs, arrived.work_tokens)
        if self.counts and (arrived.jobs < self.counts[-1].jobs or now < self.counts[-1].at):
            return Arrivals((latest,))
        kept = self.counts
        if len(kept) > 1 and kept[-1].at - kept[-2].at < GRAIN_S:
            kept = kept[:-1]
        first = max(0, _last_before(kept, now - KEEP_S))
        return Arrivals((*kept[first:], latest))

    def rate(self, window_s: float) -> Rate:
        """Mean of the last `window_s` seconds, or of as much as there is; 0 of a single count."""
        if len(self.counts) <= 1:
            return Rate(0.0, 0.0)
        latest = self.counts[-1]
        then = self.counts[max(0, _last_before(self.counts[:-1], latest.at - window_s))]
        span_s = latest.at - then.at
        if span_s <= 0:
            return Rate(0.0, 0.0)
        return Rate(
            (latest.jobs - then.jobs) / span_s, (latest.work_tokens - then.work_tokens) / span_s
        )


def _last_before(counts: tuple[Count, ...], at: float) -> int:
    """Place of the last count that is not after `at`, -1 if all are."""
    return bisect_right(counts, at, key=lambda count: count.at) - 1
