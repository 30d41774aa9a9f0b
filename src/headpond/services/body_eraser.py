"""The eraser of bodies: requests and results that were kept long enough, a few jobs at a time."""

from collections.abc import Sequence

from headpond.domain.retention import Rule
from headpond.ports.clock import Clock
from headpond.ports.retention import Retention

STEP = 64
"""Jobs of one transaction: whoever submits waits for no more than that."""


class BodyEraser:
    """Any number may run at once."""

    def __init__(self, retention: Retention, rules: Sequence[Rule], clock: Clock) -> None:
        self._retention = retention
        self._rules = rules
        self._clock = clock

    async def tick(self) -> None:
        """Erase all that is due."""
        for rule in self._rules:
            while await self._retention.erase_ended(rule, now=self._clock.now(), limit=STEP):
                pass
