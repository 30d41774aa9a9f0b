"""A host keeps one process running: it starts another one when the last has died or ended."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.processes import ConnectionLost, Process

RESTART_S = (0.1, 1.0, 3.0)
SETTLED_S = 0.1
"""By then what a process cancelled as its last act has ended."""

MOST_STEPS = 200_000
"""A world that takes more goes round in circles."""

DYING_SHARE = 0.6
EARLY_TURNS, LATE_TURNS = 40, 400


class Part(Protocol):
    """What runs in a process until it is asked to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run; everything that was begun has ended when this returns."""
        ...


P = TypeVar("P", bound=Part)


class Host(Generic[P]):
    """`part` is what runs in the present process, None while there is none."""

    def __init__(
        self, name: str, fates: Fates, make: Callable[[Process], P], *, dies_of: Fault
    ) -> None:
        self.name = name
        self.part: P | None = None
        self.processes: list[Process] = []
        self._fates = fates
        self._dice = fates.dice(name)
        self._make = make
        self._dies_of = dies_of
        self._process: Process | None = None
        self._stop = asyncio.Event()
        self._closing = False
        self._dies_at: int | None = None
        self._freezes_at: int | None = None
        self._skew_s = 0.0
        if Fault.CLOCK_WRONG in fates.plan.faults:
            fates.struck[Fault.CLOCK_WRONG] += 1
            self._skew_s = self._any_skew()

    @property
    def process(self) -> Process | None:
        """The one that runs."""
        return self._process if self.part is not None else None

    async def keep_running(self) -> None:
        """One process after the other, until `close`."""
        number = 0
        while not self._closing:
            number += 1
            process = self._begin(number)
            part = self.part = self._make(process)
            try:
                await process.ask(part.run(self._stop))
                await asyncio.sleep(SETTLED_S)
                if left := process.unfinished():
                    self._fates.violated(f"{process.name} ended and left {len(left)} tasks")
            except ConnectionLost:
                self._fates.note(process.name, "is dead")
            self.part = None
            if not self._closing:
                await asyncio.sleep(self._dice.choice(RESTART_S))

    def close(self) -> None:
        """Ask the process to stop, and start no other."""
        self._closing = True
        self._stop.set()

    def ask_to_stop(self) -> None:
        """SIGTERM; another one is started then."""
        self._fates.note(self.name, "is asked to stop")
        self._stop.set()

    def move_clock(self) -> None:
        """The machine's clock is set to another time."""
        self._skew_s = self._any_skew()
        if self._process is not None:
            self._process.skew_s = self._skew_s

    def thaw(self) -> None:
        """Let a frozen process go on."""
        if self._process is not None and self._process.alive:
            self._process.thaw()

    def _begin(self, number: int) -> Process:
        self._stop = asyncio.Event()
        self._dies_at = self._some_turn(self._dies_of)
        spared = self._dies_of is Fault.WORKER_KILLED and self._fates.plan.workers_spared
        self._freezes_at = None if spared else self._some_turn(Fault.FROZEN)
        name = f"{self.name}.{number}"
        self._process = Process(name, skew_s=self._skew_s, after_turn=self._after_turn)
        self.processes.append(self._process)
        self._fates.note(name, "begins")
        return self._process

    def _some_turn(self, fault: Fault) -> int | None:
        """A turn after which the fault strikes; early ones are the more interesting."""
        if fault not in self._fates.plan.faults or self._dice.random() >= DYING_SHARE:
            return None
        most = EARLY_TURNS if self._dice.random() < 0.5 else LATE_TURNS
        return self._dice.randint(1, most)

    def _after_turn(self, process: Process) -> None:
        self._fates.steps += 1
        if self._fates.steps == MOST_STEPS:
            asyncio.get_running_loop().stop()
        if self._fates.calm:
            return
        if process.turns == self._freezes_at:
            self._freeze(process)
        if process.turns == self._dies_at:
            self._fates.struck[self._dies_of] += 1
            self._fates.note(process.name, f"is killed after turn {process.turns}")
            self.part = None
            process.kill()

    def _freeze(self, process: Process) -> None:
        lease_s = self._fates.plan.pool.lease_s
        span_s = self._dice.choice((lease_s / 3, lease_s, lease_s + 0.001, 2 * lease_s))
        self._fates.struck[Fault.FROZEN] += 1
        self._fates.note(process.name, f"is frozen for {span_s}")
        process.freeze()
        asyncio.get_running_loop().call_later(span_s, process.thaw, context=process.outside)

    def _any_skew(self) -> float:
        """The clocks of two hosts are at most `skew_s` apart."""
        return self._dice.choice((-0.5, 0.0, 0.5)) * self._fates.plan.skew_s
