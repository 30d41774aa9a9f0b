"""The simulated machines behind the fleet's port: the product's autoscaler moves them."""

from collections.abc import Sequence

from typing_extensions import override

from headpond.domain.scaling.members import Member
from headpond.ports.fleet import Fleet
from headpond.simulator.product.crew import Machines


class SimulatedFleet(Fleet):
    """Says what machines there are, and has more or fewer of them."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    @override
    async def members(self) -> list[Member]:
        return self._machines.members()

    @override
    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        self._machines.resize(target, first_to_go)

    @override
    async def close(self) -> None:
        await self._machines.close()
