"""The fleet: machines or processes that each run one worker of a pool."""

from collections.abc import Sequence
from typing import Protocol

from headpond.domain.scaling.members import Member


class Fleet(Protocol):
    """Workers of one pool. None of them goes in the middle of its work: it drains first."""

    async def members(self) -> list[Member]:
        """Those that there are, pending and draining ones included, the oldest first."""
        ...

    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        """Have `target` workers that do not drain: start some, or drain some, those named first.

        Returns at once; members tell how far it is. A member that ended by itself is gone, and the
        next call starts another in its place, if the fleet has not done so by itself.
        """
        ...

    async def close(self) -> None:
        """Drain those that end with this process and wait until they are gone. Works twice.

        Machines elsewhere stay, for the next scaler.
        """
        ...


class Ranked(Protocol):
    """Workers of one pool; whoever has fewer of them, their platform takes the cheapest first."""

    async def costs(self) -> dict[str, int]:
        """What each worker costs that does not drain; 0 if nobody said so yet."""
        ...

    async def set_cost(self, worker: str, cost: int) -> None:
        """Let a worker cost so much from now on; nothing if it is gone."""
        ...
