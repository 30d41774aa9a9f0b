"""Token buckets: what a team may do now, and when it may do more.

A limit of N a minute is a bucket of N that fills at N/60 a second: a burst of N is fine, after
that the average holds.
"""

import math

import msgspec

WINDOW_S = 60.0


class Bucket(msgspec.Struct, frozen=True):
    """`level` tokens at Unix time `at`, filling to `per_minute`."""

    per_minute: int
    level: float
    at: float

    def filled(self, now: float) -> "Bucket":
        """The same bucket at `now`.

        A clock that is behind another gateway's adds nothing and takes nothing back; one that is
        far behind has jumped, or the other had.
        """
        gained = max(0.0, now - self.at) * self.per_minute / WINDOW_S
        at = self.at if 0 < self.at - now <= WINDOW_S else now
        return Bucket(self.per_minute, min(self.per_minute, self.level + gained), at)

    def wait_s(self, amount: int) -> float:
        """Seconds until `amount` fits, 0 if it fits now, infinity if it never will."""
        if amount <= self.level:
            return 0.0
        if amount > self.per_minute:
            return math.inf
        return (amount - self.level) * WINDOW_S / self.per_minute

    def taken(self, amount: int) -> "Bucket":
        """The bucket without `amount`."""
        return Bucket(self.per_minute, self.level - amount, self.at)

    def given_back(self, amount: int) -> "Bucket":
        """The bucket with `amount` that was taken for nothing."""
        return Bucket(self.per_minute, min(self.per_minute, self.level + amount), self.at)

    @property
    def remaining(self) -> int:
        """Whole tokens that are left."""
        return max(0, math.floor(self.level))

    @property
    def reset_s(self) -> float:
        """Seconds until the bucket is full again."""
        return (self.per_minute - self.level) * WINDOW_S / self.per_minute


def full(per_minute: int, now: float) -> Bucket:
    """A new bucket; `per_minute` is 1 or more."""
    return Bucket(per_minute, float(per_minute), now)
