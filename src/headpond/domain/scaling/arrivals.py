"""How fast work arrives, from a count that only rises."""

from typing import NamedTuple

import msgspec

from headpond.domain.quote import Backlog

KEEP_S = 180.0
"""How far back there are counts."""

GRAIN_S = 10.0
"""Counts are kept no closer than this, however often one is read."""


class Count(NamedTuple):
    """What had ever arrived by `at`."""

    at: float
    jobs: float
    work_tokens: float


class Arrivals(msgspec.Struct, frozen=True, tag=True):
    """Counts of the last minutes, the oldest first."""

    counts: tuple[Count, ...] = ()

    def noted(self, arrived: Backlog, now: float) -> "Arrivals":
        """With what had arrived by now. A count that fell was begun anew, so the old ones go."""
        latest = Count(now, arrived.jobs, arrived.work_tokens)
        kept = self.counts
        if kept and (arrived.jobs < kept[-1].jobs or now <= kept[-1].at):
            return Arrivals((latest,))
        if len(kept) > 1 and kept[-1].at - kept[-2].at < GRAIN_S:
            kept = kept[:-1]
        while len(kept) > 1 and kept[1].at <= now - KEEP_S:
            kept = kept[1:]
        return Arrivals((*kept, latest))

    def ago(self, ago_s: float) -> Count:
        """What had arrived so long before the latest count; at the earliest, the first count.

        Between two counts work is taken to have come evenly. There must be a count.
        """
        at = self.counts[-1].at - ago_s
        after = self.counts[-1]
        for before in reversed(self.counts):
            if before.at <= at:
                return _between(before, after, at)
            after = before
        return after


def _between(before: Count, after: Count, at: float) -> Count:
    if after.at <= before.at:
        return before
    part = (at - before.at) / (after.at - before.at)
    return Count(
        at,
        before.jobs + part * (after.jobs - before.jobs),
        before.work_tokens + part * (after.work_tokens - before.work_tokens),
    )
