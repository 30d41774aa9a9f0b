"""The leases of a process, as the clouds' queues do not keep them.

They take the handle of a lease that has lapsed, sometimes even of one whose message somebody else
has by now. So the end of each is reckoned here, and theirs is never earlier. What is not known here
does not hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from headpond.ports.clock import Clock
from headpond.ports.queue import Lease, LeaseToken


@dataclass(slots=True)
class Span:
    """From receipt to the end that is reckoned now, in Unix seconds."""

    began: float
    until: float


class Leases:
    """Those that hold, none for longer than `max_s` after its receipt."""

    def __init__(self, clock: Clock, *, max_s: float) -> None:
        self._clock = clock
        self._max_s = max_s
        self._spans: dict[LeaseToken, Span] = {}

    def __contains__(self, token: LeaseToken) -> bool:
        return token in self._spans

    def begin(self, lease: Lease, began: float, until: float) -> None:
        """The lease holds until then."""
        self._spans[lease.token] = Span(began, min(until, began + self._max_s))

    def forget_lapsed(self) -> None:
        """Those that nobody asks for any more."""
        now = self._clock.now()
        for token in [token for token, span in self._spans.items() if span.until <= now]:
            del self._spans[token]

    def held(self, leases: Iterable[Lease]) -> list[Lease]:
        """Those that hold at this moment."""
        now = self._clock.now()
        return [
            lease
            for lease in leases
            if (span := self._spans.get(lease.token)) is not None and now < span.until
        ]

    def left_s(self, lease: Lease) -> float:
        """How much longer a lease that holds may still be made to last."""
        span = self._spans[lease.token]
        return max(0.0, span.began + self._max_s - self._clock.now())

    def prolong(self, lease: Lease, until: float) -> None:
        """It holds until then, unless it would last too long."""
        span = self._spans[lease.token]
        span.until = min(until, span.began + self._max_s)

    def forget(self, leases: Iterable[Lease]) -> None:
        """They hold no more."""
        for lease in leases:
            self._spans.pop(lease.token, None)
