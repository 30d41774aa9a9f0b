"""What a simulation found."""

import msgspec


class Moment(msgspec.Struct, frozen=True, gc=False):
    """The system at one moment, `at_s` seconds after the beginning."""

    at_s: float
    arriving_per_s: float
    waiting: float
    ready: int
    starting: int


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A change of the fleet, and why."""

    at_s: float
    before: int
    after: int
    why: str


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Machine hours: all that was paid for, by what was done in it."""

    busy: float
    idle: float
    starting: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.busy + self.idle + self.starting


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One policy on one trace. Waits are from arrival until a worker takes the request.

    `late_share` is of all requests: those that waited longer than the target, and those that got
    an error. Latencies, until the answer, are known where engines are simulated, too.
    `work_bound_h` is the work of all requests, in machine hours. `over_optimum` is what was paid
    over the offline optimum, if that is known and enough to compare with.
    """

    policy: str
    trace: str
    seed: int
    requests: float
    work_bound_h: float
    hours: Hours
    over_optimum: float | None = None
    cost_usd: float
    wait_p50_s: float
    wait_p90_s: float
    wait_p99_s: float
    late_share: float
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    errors: float = 0.0
    changes: int = 0
    starts: int = 0
    stops: int = 0
    crashes: int = 0
    interruptions: int = 0
    given_up: int = 0
    moments: list[Moment] = []
    decisions: list[Decided] = []

    @property
    def over_work(self) -> float:
        """Paid hours over the hours of work."""
        return self.hours.total / self.work_bound_h if self.work_bound_h else 0.0
