"""Leftovers: what writers left that died, and what was erased."""

from typing import Protocol


class Leftovers(Protocol):
    """Of a store that keeps one thing in two places. Any number may remove them at once."""

    async def remove(self, *, limit: int) -> int:
        """Remove up to `limit` of a kind that nobody names any more; returns how many.

        One that cannot be removed comes last the next time. Raises why if that is so of all.
        """
        ...
