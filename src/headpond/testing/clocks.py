"""Clocks that do not tick by themselves."""

from typing_extensions import override

from headpond.ports.clock import Clock


class ManualClock(Clock):
    """Stands until it is moved."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now

    @override
    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock; a negative span is a clock that jumped back."""
        self._now += seconds
