"""The fleet of a simulation: machines that start, serve, are stopped, and are taken away."""

import random
from heapq import heappop, heappush

from headpond.simulator.machines import ColdStart, SpotMarket


class Fleet:
    """Whole machines. Those beyond `on_demand` are spot machines, if there is a market.

    It begins with `warm` machines that serve at once.
    """

    def __init__(
        self,
        cold_start: ColdStart,
        *,
        dice: random.Random,
        warm: int = 0,
        on_demand: int = 0,
        market: SpotMarket | None = None,
    ) -> None:
        self.ready = warm
        self.starts = self.stops = self.interruptions = self.given_up = 0
        self._cold_start = cold_start
        self._dice = dice
        self._on_demand = on_demand
        self._market = market
        self._starting: list[tuple[float, float]] = []
        """When each will be ready, and when it was asked for; a heap."""

    @property
    def starting(self) -> int:
        """Machines that are paid for and do not serve yet."""
        return len(self._starting)

    @property
    def size(self) -> int:
        """All that is paid for."""
        return self.ready + len(self._starting)

    def asked_for(self, epoch: float) -> tuple[float, ...]:
        """When each of those that start was asked for, `epoch` added."""
        return tuple(sorted(epoch + asked for _, asked in self._starting))

    def spot(self) -> int:
        """Machines that the cloud may take away."""
        return max(0, self.size - self._on_demand) if self._market is not None else 0

    def advance(self, now: float) -> int:
        """What has happened until now; returns how many serving machines were taken away."""
        if self._starting:
            self._advance_starts(now)
        if self._market is None:
            return 0
        before = self.ready
        lost = max(0, self.spot() - self._market.at(now))
        self.interruptions += lost
        self._remove(lost)
        return before - self.ready

    def resize(self, target: int, now: float) -> None:
        """Ask for machines, or stop some: those that still start go first, the youngest of all."""
        if target < self.size:
            self.stops += self.size - target
            self._remove(self.size - target)
            return
        if self._market is not None:
            target = min(target, self._on_demand + self._market.at(now))
        for _ in range(target - self.size):
            self._start(now)

    def lose_one(self, now: float) -> None:
        """A serving machine crashes; its replacement starts."""
        self.ready -= 1
        self._start(now)

    def _start(self, now: float) -> None:
        self.starts += 1
        seconds = self._cold_start.draw(self._dice, len(self._starting))
        heappush(self._starting, (now + seconds, now))

    def _advance_starts(self, now: float) -> None:
        grace_s = self._cold_start.grace_s
        if grace_s is not None:
            late = [
                start
                for start in self._starting
                if start[0] - start[1] > grace_s and now - start[1] >= grace_s
            ]
            for start in late:
                self._starting.remove(start)
            self.given_up += len(late)
            for _ in late:
                self._start(now)
        while self._starting and self._starting[0][0] <= now:
            heappop(self._starting)
            self.ready += 1

    def _remove(self, count: int) -> None:
        youngest = sorted(self._starting, key=lambda start: -start[1])[:count]
        for start in youngest:
            self._starting.remove(start)
        self.ready -= count - len(youngest)
