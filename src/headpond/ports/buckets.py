"""The token buckets that rate limits are counted in, for one gateway or for several together."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from headpond.domain.ratelimit import Bucket


class Draw(msgspec.Struct, frozen=True):
    """`amount` from a team's bucket for this unit and limit; nothing is a look at it."""

    unit: str
    per_minute: int
    amount: int = 0


class Drawn(msgspec.Struct, frozen=True):
    """Whether it was taken, and how the buckets stand now, in the order of the draws."""

    taken: bool
    buckets: list[Bucket]


class Buckets(Protocol):
    """A bucket that nobody has drawn from is full."""

    async def take(self, team: str, draws: Sequence[Draw]) -> Drawn:
        """Take every amount from its bucket iff all of them fit, in one step."""
        ...

    async def give_back(self, team: str, draws: Sequence[Draw]) -> None:
        """Undo a `take` that turned out to be for nothing; no bucket gets more than full."""
        ...
