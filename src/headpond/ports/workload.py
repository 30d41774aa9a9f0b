"""What comes to a pool, and when it has to be done."""

from typing import Protocol

from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Due


class Workload(Protocol):
    """Beside the job store. None of it need survive a power cut: a rate is soon known again."""

    async def arrived(self, pool: str) -> Backlog:
        """All that was ever sent to the pool's lanes, what was sent again included; never falls."""
        ...

    async def count(self, lane: Lane, sent: Backlog) -> None:
        """Add what was sent to a lane of a queue elsewhere; one in the store counts by itself."""
        ...

    async def due(self, pool: str) -> list[Due]:
        """Work that waits and has a deadline, by minutes, the earliest first."""
        ...
