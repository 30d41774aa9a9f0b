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
from headpond.services.side_by_side import raise_first

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
        """Erase all that is due. A rule that fails holds up no other; its error is raised after."""
        until = math.inf if self._archived is None else await self._archived.until()
        checked = math.inf if self._archived is None else await self._archived.checked()
        looks = [(rule, until) for rule in self._rules]
        looks += [(rule.looking_again(), checked) for rule in self._rules]
        # One after the other: who submits waits for no more than one transaction.
        raise_first([await self._erase(rule, archived) for rule, archived in looks])

    async def _erase(self, rule: Rule, archived: float) -> Exception | None:
        """What it failed with, if it did."""
        try:
            while await self._look(rule, archived, self._clock.now()):
                pass
        except Exception as error:  # noqa: BLE001 - it is raised when all rules have had their turn
            return error
        return None

    async def _look(self, rule: Rule, archived: float, now: float) -> int:
        waiting = rule.waiting(archived - MARGIN_S, now)
        return await self._retention.erase_ended(waiting, now=now, limit=STEP)
