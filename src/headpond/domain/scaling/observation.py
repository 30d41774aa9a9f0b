"""What is seen of a pool at one moment."""

import msgspec

from headpond.domain.quote import Backlog


class Rate(msgspec.Struct, frozen=True):
    """What one worker does in a second when it is full."""

    jobs: float
    work_tokens: float


class ColdStart(msgspec.Struct, frozen=True):
    """Seconds from asking for a worker until it works."""

    p50_s: float = 0.0
    p90_s: float = 0.0


class Crew(msgspec.Struct, frozen=True):
    """The workers of a pool. `starting` has the time at which each was asked for.

    Of those, so many are `pending`: their platform has not started them yet. `why` is what it says
    of the oldest of whom it says something. Draining ones finish what they have: they count for
    money only.
    """

    ready: int = 0
    starting: tuple[float, ...] = ()
    draining: int = 0
    pending: int = 0
    why: str = ""

    @property
    def size(self) -> int:
        """The workers that there are to count on."""
        return self.ready + len(self.starting)


class Due(msgspec.Struct, frozen=True):
    """Work that has to be done by a time."""

    by: float
    work: Backlog


class Spent(msgspec.Struct, frozen=True):
    """US dollars that the pool's workers cost since the hour, and the day, began (UTC)."""

    hour_usd: float = 0.0
    day_usd: float = 0.0


class Orders(msgspec.Struct, frozen=True):
    """What an operator wants: no change while `paused`, or so many `workers`, until a time."""

    paused: bool = False
    workers: int | None = None
    until: float | None = None

    def in_force(self, now: float) -> bool:
        """Whether something is ordered, and its time is not over."""
        return (self.paused or self.workers is not None) and (
            self.until is None or now < self.until
        )


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A pool at one moment; what could not be read, or was not measured yet, is None.

    `waiting` is what is not done: ready, leased and held back; `running` is how many of those jobs
    are leased, so in the hands of a worker. `arrived` counts what ever came to the pool's lanes, so
    two of them make a rate; it never falls, unless counting began anew. `due` has the waiting work
    that has a deadline, the earliest first.
    """

    waiting: Backlog | None = None
    running: int = 0
    arrived: Backlog | None = None
    crew: Crew | None = None
    rate: Rate | None = None
    cold_start: ColdStart | None = None
    due: tuple[Due, ...] = ()
    spent: Spent | None = None
    orders: Orders = Orders()
