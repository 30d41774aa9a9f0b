"""The protector over a roster and a fleet in memory."""

from typing_extensions import override

from headpond.adapters.memory.roster import MemoryRoster
from headpond.ports.fleet import Ranked
from headpond.services.protector import MOST_AT_ONCE, Protector
from headpond.testing.clocks import ManualClock
from tests.unit.domain.scaling.test_protection import NOW, busy


class Costly(Ranked):
    """Workers are what they cost; counts how often somebody says so."""

    def __init__(self, workers: int) -> None:
        self.known = {f"w{number}": 0 for number in range(workers)}
        self.writes = 0

    @override
    async def costs(self) -> dict[str, int]:
        return dict(self.known)

    @override
    async def set_cost(self, worker: str, cost: int) -> None:
        self.known[worker] = cost
        self.writes += 1


async def test_a_few_are_told_at_once_the_busiest_first_and_nobody_twice() -> None:
    fleet, roster = Costly(MOST_AT_ONCE + 2), MemoryRoster()
    protector = Protector("default", fleet, roster, ManualClock(NOW))
    for number, worker in enumerate(fleet.known):
        await roster.report(busy(worker, number))
    await protector.tick()
    assert [worker for worker, cost in fleet.known.items() if not cost] == ["w0", "w1"]
    await protector.tick()
    await protector.tick()
    assert fleet.known["w1"] == 1
    assert fleet.writes == MOST_AT_ONCE + 1
