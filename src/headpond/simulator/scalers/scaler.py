"""What moves the fleet."""

from typing import Protocol

import msgspec

from headpond.domain.scaling.observation import Observation


class Sight(msgspec.Struct, frozen=True, gc=False):
    """What can be seen at a moment: what the product sees, and what others look at.

    `visible` are the requests that wait and are in nobody's hands; `utilization` is the share of
    its time (0 to 1) that the GPU of a serving machine worked since the last look.
    """

    seen: Observation
    visible: float = 0.0
    utilization: float = 0.0

    @property
    def size(self) -> int:
        """Machines that are paid for."""
        return 0 if self.seen.crew is None else self.seen.crew.size


class Change(msgspec.Struct, frozen=True, gc=False):
    """So many machines there should be, and why."""

    target: int
    why: str


class Scaler(Protocol):
    """Looks every `every_s` seconds. It has a memory: one for each simulation."""

    @property
    def every_s(self) -> float:
        """Seconds between two looks."""
        ...

    def look(self, sight: Sight, now: float) -> Change:
        """How many machines there should be; `now` is Unix seconds."""
        ...
