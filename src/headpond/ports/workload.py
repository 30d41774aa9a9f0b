"""What comes to a pool, and when it has to be done."""

from typing import Protocol

from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Due


class Workload(Protocol):
    """A power of stores that hold the queue, too."""

    async def arrived(self, pool: str) -> Backlog:
        """All that was ever sent to the pool's lanes, what was sent again included; never falls."""
        ...

    async def due(self, pool: str) -> list[Due]:
        """Work that waits and has a deadline, by minutes, the earliest first."""
        ...
