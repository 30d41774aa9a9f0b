"""Tries of one request that were refused: whatever comes after a refusal repeats nothing.

An SDK counts its tries, whether the last one was refused or its answer lost on the way. Only here
is it known that a try made no job; its next one must not be led to the job of an equal request.
"""

from headpond.ports.clock import Clock
from headpond.services.remembered import Remembered

REFUSED_TTL_S = 150.0
"""The official client obeys a Retry-After of two minutes at most."""


class RefusedTries:
    """Of this process: a retry that goes to another one may find an equal request's job."""

    def __init__(self, clock: Clock) -> None:
        self._counts = Remembered[str, int](clock, ttl_s=REFUSED_TTL_S, limit=10_000)

    def refused(self, fingerprint: str) -> None:
        """A try of this fingerprint was refused, and will come again."""
        self._counts.put(fingerprint, (self._counts.get(fingerprint) or 0) + 1)

    def comes_again(self, fingerprint: str) -> bool:
        """Whether a try of this fingerprint is one that was refused; counts it as come."""
        count = self._counts.get(fingerprint) or 0
        if count:
            self._counts.put(fingerprint, count - 1)
        return count > 0
