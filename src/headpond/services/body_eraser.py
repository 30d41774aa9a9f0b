"""The eraser of bodies: requests and results that were kept long enough, a few jobs at a time."""

import math
from collections.abc import Awaitable, Callable, Sequence

from headpond.domain.retention import Rule
from headpond.ports.clock import Clock
from headpond.ports.retention import Retention

STEP = 64
"""Jobs of one transaction: whoever submits waits for no more than that."""

MARGIN_S = 1.0
"""What ends at the very moment that the archive has come to is not in it."""


class BodyEraser:
    """Any number may run at once. What ended after `archived_until` says is not erased yet."""

    def __init__(
        self,
        retention: Retention,
        rules: Sequence[Rule],
        clock: Clock,
        archived_until: Callable[[], Awaitable[float]] | None = None,
    ) -> None:
        self._retention = retention
        self._rules = rules
        self._clock = clock
        self._archived_until = archived_until

    async def tick(self) -> None:
        """Erase all that is due."""
        archived = math.inf if self._archived_until is None else await self._archived_until()
        for rule in self._rules:
            while await self._retention.erase_ended(
                rule, now=min(self._clock.now(), archived + rule.after_s - MARGIN_S), limit=STEP
            ):
                pass
