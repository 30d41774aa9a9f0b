"""Interactive work goes first, but batch work does not wait for ever.

A worker looks into its lanes in order. When it has not come as far as a batch job that is younger
than the bound for as long as the bound, one of every four jobs that it takes is batch, until it
does: until interactive work lets up and batch work has caught up.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from headpond.domain.lane import Lane

JOBS_BETWEEN = 3
"""Interactive jobs for each batch job while batch is overdue."""


class Look(NamedTuple):
    """What one claim asks for: lanes in order, and at most how many jobs."""

    lanes: Sequence[Lane]
    limit: int
    in_order: bool


class Patience(msgspec.Struct, frozen=True):
    """What a worker remembers: when batch work was last served in time, and jobs passed since.

    `served_at` is Unix seconds; `passed` counts jobs of the first lane while the last is overdue.
    """

    served_at: float
    passed: int = 0

    def look(self, lanes: Sequence[Lane], limit: int) -> Look:
        """The next claim, for up to `limit` jobs."""
        due = self.passed // JOBS_BETWEEN
        if due:
            return Look(lanes[::-1], min(due, limit), in_order=False)
        return Look(lanes, limit, in_order=True)

    def after(
        self, look: Look, claimed: Sequence[tuple[Lane, float]], *, now: float, bound_s: float
    ) -> "Patience":
        """What to remember after a claim brought jobs of these lanes, accepted at these times."""
        last = look.lanes[-1 if look.in_order else 0]
        young = any(lane == last and now - at < bound_s for lane, at in claimed)
        if look.in_order and young:
            return Patience(now)
        if now - self.served_at < bound_s:
            return self
        if not look.in_order:
            return Patience(self.served_at, self.passed % JOBS_BETWEEN)
        return Patience(self.served_at, self.passed + len(claimed))
