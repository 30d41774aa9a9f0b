"""What is kept of a pool's scaling, and one decision as it is shown afterwards."""

import msgspec
from msgspec.structs import replace

from headpond.domain.scaling.memory import Memory, Past
from headpond.domain.scaling.money import DAY_S, HOUR_S
from headpond.domain.scaling.observation import Observation, Orders, Spent

COLD_STARTS = 20
"""How many of the latest are kept."""


class Spending(msgspec.Struct, frozen=True):
    """What the workers cost, counted up to `at`; the hour and the day are those of `at` (UTC)."""

    at: float
    hour_usd: float = 0.0
    day_usd: float = 0.0

    def after(self, usd_per_hour: float, now: float) -> "Spending":
        """With what a fleet of that price cost since; a new hour, or day, begins at nothing."""
        this_hour_s = min(now - self.at, now % HOUR_S)
        this_day_s = min(now - self.at, now % DAY_S)
        hour = self.hour_usd if now // HOUR_S == self.at // HOUR_S else 0.0
        day = self.day_usd if now // DAY_S == self.at // DAY_S else 0.0
        per_s = usd_per_hour / HOUR_S
        return Spending(
            now, hour + per_s * max(0.0, this_hour_s), day + per_s * max(0.0, this_day_s)
        )

    def spent(self) -> Spent:
        """As a decision takes it."""
        return Spent(self.hour_usd, self.day_usd)


class ScalingState(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's scaling between two decisions, changed by compare-and-set on `version`.

    `leader` is the scaler that decides, until `leased_until`; others wait for that time. `known`
    are the workers whose cold start is among `cold_starts` (seconds, the latest last). `why` is the
    reason of the last decision, taken at `decided_at`.
    """

    pool: str
    version: int = 0
    leader: str | None = None
    leased_until: float = 0.0
    memory: Memory = Memory()
    orders: Orders = Orders()
    spending: Spending | None = None
    cold_starts: tuple[float, ...] = ()
    known: tuple[str, ...] = ()
    why: str = ""
    decided_at: float | None = None

    def led_by(self, scaler: str, now: float) -> bool:
        """Whether that scaler may decide: it leads, or nobody does."""
        return self.leader in {None, scaler} or now >= self.leased_until

    def ordered(self, orders: Orders) -> "ScalingState":
        """With what an operator wants."""
        return replace(self, version=self.version + 1, orders=orders)

    def taught(self, past: Past) -> "ScalingState":
        """With another memory of its policy."""
        return replace(self, version=self.version + 1, memory=replace(self.memory, past=past))

    def decided(
        self,
        memory: Memory,
        *,
        why: str,
        now: float,
        leader: str,
        leased_until: float,
        spending: Spending | None,
        began_in_s: dict[str, float],
    ) -> "ScalingState":
        """After a decision of its leader."""
        return replace(
            self,
            version=self.version + 1,
            leader=leader,
            leased_until=leased_until,
            memory=memory,
            spending=spending,
            cold_starts=(*self.cold_starts, *began_in_s.values())[-COLD_STARTS:],
            known=(*self.known, *began_in_s)[-10 * COLD_STARTS :],
            why=why,
            decided_at=now,
        )

    def released(self) -> "ScalingState":
        """Its leader stops: whoever comes may lead at once."""
        return replace(self, version=self.version + 1, leader=None, leased_until=0.0)


class ScalingStep(msgspec.Struct, frozen=True, kw_only=True):
    """A decision: from `before` workers to `target`, why, and what was seen."""

    pool: str
    at: float
    before: int
    target: int
    why: str
    seen: Observation
