"""What strikes, drawn from the seed, counted and written down."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable

from headpond.testing.simulation.plan import Fault, Plan


class Fates:
    """Shared by everything in one world. After `calm` nothing strikes any more."""

    def __init__(
        self, seed: int, plan: Plan, time: Callable[[], float], *, keep_trace: bool
    ) -> None:
        self.plan = plan
        self.steps = 0
        self.calm = False
        self.disk_full = False
        self.struck: Counter[Fault] = Counter()
        self.violations: list[str] = []
        self.trace: list[str] | None = [] if keep_trace else None
        self._seed = seed
        self._time = time
        self._ended = False
        self._hash = hashlib.blake2b(digest_size=8)

    def dice(self, name: str) -> random.Random:
        """Dice for one part of the world: what it draws does not move the others."""
        return random.Random(f"{name} {self._seed}")

    def strikes(self, fault: Fault, dice: random.Random, times: float = 1.0) -> bool:
        """Whether the fault strikes here, `times` as often as elsewhere."""
        if self.calm or fault not in self.plan.faults or dice.random() >= self.plan.rate * times:
            return False
        self.struck[fault] += 1
        return True

    def note(self, who: str, what: str) -> None:
        """Write down that something happened: equal traces are equal runs."""
        line = f"{self._time():9.3f} {who:12} {what}"
        self._hash.update(line.encode())
        if self.trace is not None:
            self.trace.append(line)

    def violated(self, what: str) -> None:
        """A promise was broken."""
        if self._ended:
            return
        self.note("VIOLATION", what)
        self.violations.append(what)

    def end(self) -> None:
        """The world has ended: what its dead say when they are buried means nothing."""
        self._ended = True

    def digest(self) -> str:
        """Names the run: the same for the same seed, on every machine."""
        return self._hash.hexdigest()
