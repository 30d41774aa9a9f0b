"""The machines that there are, and what they were paid for."""

import asyncio
import random
from collections.abc import Coroutine, Sequence

from headpond.domain.scaling.members import Member
from headpond.domain.scaling.observation import Crew
from headpond.simulator.machines import ColdStart, SpotMarket
from headpond.simulator.product.machine import Machine, Surroundings
from headpond.simulator.result import Hours


class Machines:
    """A fleet that grows by cold starts and shrinks by draining."""

    def __init__(
        self,
        around: Surroundings,
        cold_start: ColdStart,
        *,
        dice: random.Random,
        on_demand: int = 0,
        market: SpotMarket | None = None,
    ) -> None:
        self.starts = self.stops = self.interruptions = 0
        self._around = around
        self._cold_start = cold_start
        self._dice = dice
        self._on_demand = on_demand
        self._market = market
        self._machines: list[Machine] = []
        self._gone: list[Machine] = []
        self._leaving: dict[Machine, asyncio.Task[None]] = {}

    @property
    def ready(self) -> int:
        """Machines that work."""
        return sum(machine.ready_at is not None for machine in self._machines)

    @property
    def starting(self) -> int:
        """Machines that are paid for and do not work yet."""
        return len(self._machines) - self.ready

    @property
    def size(self) -> int:
        """Both."""
        return len(self._machines)

    @property
    def _spot(self) -> list[Machine]:
        """Machines that the cloud may take away, in the order in which they were asked for."""
        return [machine for machine in self._machines if machine.spot]

    def crew(self) -> Crew:
        """The machines as a scaler sees them."""
        starting = [machine.asked_at for machine in self._machines if machine.ready_at is None]
        asked_at = tuple(self._around.epoch + at for at in starting)
        return Crew(self.ready, asked_at, len(self._leaving))

    def add(self, count: int, *, warm: bool = False) -> None:
        """Ask for machines; `warm` ones work at once."""
        for _ in range(count):
            self.starts += not warm
            seconds = 0.0 if warm else self._cold_start.draw(self._dice, self.starting)
            name = f"machine-{len(self._machines) + len(self._gone) + 1}"
            lasting = self.size - len(self._spot)
            spot = self._market is not None and lasting >= self._on_demand
            self._machines.append(Machine(name, seconds, self._around, spot=spot))

    def members(self) -> list[Member]:
        """All that is paid for, the oldest first; those that drain say so."""
        everything = [(machine, False) for machine in self._machines]
        everything += [(machine, True) for machine in self._leaving]
        return sorted(
            (
                Member(machine.name, self._around.epoch + machine.asked_at, draining)
                for machine, draining in everything
            ),
            key=lambda member: member.asked_at,
        )

    def resize(self, target: int, first_to_go: Sequence[str] = ()) -> None:
        """Ask for machines, or drain some: those that are named, those that start, the idlest."""
        if target > self.size and self._market is not None:
            now = asyncio.get_running_loop().time()
            target = min(target, self._on_demand + self._market.at(now))
        self.add(max(0, target - self.size))
        order = {name: place for place, name in enumerate(first_to_go)}
        going = sorted(
            self._machines, key=lambda one: (order.get(one.name, len(order)), _loss(one))
        )
        for machine in going[: max(0, self.size - target)]:
            self.stops += 1
            self._let_go(machine, machine.stop())

    def check_market(self) -> None:
        """Take away the spot machines that the cloud wants back, the last ones first."""
        if self._market is None:
            return
        spot = self._spot
        for machine in spot[self._market.at(asyncio.get_running_loop().time()) :]:
            self.interruptions += 1
            self._let_go(machine, machine.take_away())

    def spot_h(self, until: float) -> float:
        """Hours of spot machines until a moment of the loop's time."""
        everything = (*self._machines, *self._gone)
        return sum(machine.paid_s(until) for machine in everything if machine.spot) / 3600

    async def close(self) -> None:
        """Stop all."""
        self.resize(0)
        while self._leaving:
            await asyncio.wait(self._leaving.values())

    def hours(self, until: float) -> Hours:
        """What was paid for until a moment of the loop's time."""
        starting = ready = busy = 0.0
        for machine in (*self._machines, *self._gone):
            paid_s = machine.paid_s(until)
            start_s = paid_s if machine.ready_at is None else machine.ready_at - machine.asked_at
            starting += start_s
            ready += paid_s - start_s
            busy += machine.busy_s
        return Hours(busy=busy / 3600, idle=(ready - busy) / 3600, starting=starting / 3600)

    def _let_go(self, machine: Machine, leaving: Coroutine[object, object, None]) -> None:
        self._machines.remove(machine)
        self._gone.append(machine)
        task = asyncio.create_task(leaving, name=f"stop {machine.name}")
        self._leaving[machine] = task
        task.add_done_callback(lambda _: self._leaving.pop(machine))


def _loss(machine: Machine) -> tuple[bool, float]:
    """How much is lost with it: nothing while it starts, then what is in its hands."""
    if machine.ready_at is None:
        return False, -machine.asked_at
    return True, machine.in_flight
