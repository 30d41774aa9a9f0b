"""A fleet that does not move."""

from typing_extensions import override

from headpond.simulator.scalers.scaler import Change, Scaler, Sight


class Fixed(Scaler):
    """Always so many machines."""

    def __init__(self, machines: int) -> None:
        self._change = Change(machines, "always so many")

    @property
    @override
    def every_s(self) -> float:
        return 60.0

    @override
    def look(self, sight: Sight, now: float) -> Change:
        return self._change
