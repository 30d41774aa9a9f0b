"""A fleet of two: machines that stay, and beyond them machines that the cloud may take away."""

from collections.abc import Sequence
from operator import attrgetter

from typing_extensions import override

from headpond.domain.scaling.members import Member
from headpond.ports.fleet import Fleet


class MixedFleet(Fleet):
    """The first `on_demand` workers are of `base`, the rest of `spot`.

    What spot cannot give now is not asked for on demand instead: it comes when it can be had.
    """

    def __init__(self, base: Fleet, spot: Fleet, *, on_demand: int) -> None:
        self._base = base
        self._spot = spot
        self._on_demand = on_demand

    @override
    async def members(self) -> list[Member]:
        members = [*await self._base.members(), *await self._spot.members()]
        return sorted(members, key=attrgetter("asked_at"))

    @override
    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        base = min(target, self._on_demand)
        await self._base.scale(base, first_to_go)
        await self._spot.scale(target - base, first_to_go)

    @override
    async def close(self) -> None:
        await self._base.close()
        await self._spot.close()
