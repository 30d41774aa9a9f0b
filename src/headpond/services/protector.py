"""The protector: where another decides how many workers a pool has, busy ones go last.

It says so beforehand, because whoever shrinks the fleet asks nobody. Several may run for one pool:
all of them say the same.
"""

from headpond.domain.scaling.protection import corrections
from headpond.ports.clock import Clock
from headpond.ports.fleet import Ranked
from headpond.ports.roster import Roster

MOST_AT_ONCE = 10
"""Workers whose costs one tick corrects: platforms want few such writes."""


class Protector:
    """One for each fleet of a pool. It starts and stops no worker."""

    def __init__(self, pool: str, fleet: Ranked, roster: Roster, clock: Clock) -> None:
        self._pool = pool
        self._fleet = fleet
        self._roster = roster
        self._clock = clock

    async def tick(self) -> None:
        """Correct the costs that are furthest off. Raises Unavailable, SettingsError."""
        costs = await self._fleet.costs()
        reports = await self._roster.reports(self._pool)
        for worker, cost in corrections(costs, reports, self._clock.now())[:MOST_AT_ONCE]:
            await self._fleet.set_cost(worker, cost)
