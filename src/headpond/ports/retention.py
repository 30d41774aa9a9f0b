"""Retention: bodies of jobs that ended long ago are erased; their records stay."""

from typing import Protocol

from headpond.domain.retention import Rule


class Retention(Protocol):
    """Beside the job store, whose records it erases."""

    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        """Look at the next `limit` jobs that ended too long ago, and erase those that it covers.

        A line counts from the end of its batch: of one that is open nothing is erased.

        Returns how many it looked at: 0 when there are none left. What was looked at and erased is
        durable in one step.
        """
        ...
