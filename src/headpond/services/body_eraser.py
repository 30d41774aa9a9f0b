"""The eraser of bodies: requests and results that were kept long enough, a few jobs at a time.

Ends come nearly in order, but an end is the time at which an engine answered, and may be written
much later: after the store was away, by a slow clock, behind an index that lags. What comes up
behind a rule's mark is found by a second look at the same ends, a day later.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from headpond.domain.retention import Rule
from headpond.ports.clock import Clock
from headpond.ports.retention import Retention

STEP = 64
"""Jobs of one transaction: whoever submits waits for no more than that."""

MARGIN_S = 1.0
"""What ends at the very moment that the archive has come to is not in it."""


class Archived(Protocol):
    """How far an archive has come."""

    async def until(self) -> float:
        """All that ended before then is archived, but for what was written late."""
        ...

    async def checked(self) -> float:
        """All that ended before then is archived, also what was written late."""
        ...


class BodyEraser:
    """Any number may run at once. What may not be in the archive yet, if any, is not erased."""

    def __init__(
        self,
        retention: Retention,
        rules: Sequence[Rule],
        clock: Clock,
        archived: Archived | None = None,
    ) -> None:
        self._retention = retention
        self._rules = rules
        self._clock = clock
        self._archived = archived

    async def tick(self) -> None:
        """Erase all that is due."""
        until = math.inf if self._archived is None else await self._archived.until()
        checked = math.inf if self._archived is None else await self._archived.checked()
        for rule in self._rules:
            await self._erase(rule, until)
            await self._erase(rule.looking_again(), checked)

    async def _erase(self, rule: Rule, archived: float) -> None:
        while await self._look(rule, archived, self._clock.now()):
            pass

    async def _look(self, rule: Rule, archived: float, now: float) -> int:
        waiting = rule.waiting(archived - MARGIN_S, now)
        return await self._retention.erase_ended(waiting, now=now, limit=STEP)
