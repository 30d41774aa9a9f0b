"""What a client may expect of a job at the moment it hands it in.

    forecast = seconds until a worker is ready
             + token work ahead / rate of the pool, unless there is room at once
             + token work of the job * seconds a token
    eta p50, p90 = accepted + forecast * (p50, p90 of what lately came of a forecast of 1)

The second step is a split-conformal interval (V. Vovk et al., Algorithmic Learning in a Random
World, 2005) with a window of the latest errors as its calibration set, so the share of jobs that
are done by their p90 comes near 90 % whatever the first step leaves out.
"""

from collections.abc import Mapping

import msgspec

from headpond.domain.calibration import UNMEASURED
from headpond.domain.lane import Priority
from headpond.domain.pace import Pace, Regime

HIGHER = {priority: tuple(Priority)[:place] for place, priority in enumerate(Priority)}
"""What goes first."""


ANYBODY = ""
"""In the place of a team: what a queue holds that cannot tell whose it is. No team is called so."""


class Backlog(msgspec.Struct, frozen=True):
    """Work that waits: how many jobs, and their tokens together."""

    jobs: int = 0
    work_tokens: float = 0

    def __add__(self, other: "Backlog") -> "Backlog":
        return Backlog(self.jobs + other.jobs, self.work_tokens + other.work_tokens)


class Forecast(msgspec.Struct, frozen=True):
    """Seconds from accept to end, before the correction; kept to learn from."""

    regime: Regime
    seconds: float


class Eta(msgspec.Struct, frozen=True):
    """When a job will have ended, in Unix seconds: one of two by `p50`, nine of ten by `p90`."""

    p50: float
    p90: float


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Told at submit and kept in the record.

    `position` is how many jobs will be begun before this one. `forecast` and `eta` are None as
    long as nothing was measured. `price_usd` is what the pool's prices make of the estimated
    tokens, None where it has none.
    """

    position: int
    forecast: Forecast | None = None
    eta: Eta | None = None
    price_usd: float | None = None


def ahead(
    waiting: Mapping[Priority, Mapping[str, Backlog]],
    *,
    team: str,
    priority: Priority,
    work_tokens: float,
    weights: Mapping[str, float],
) -> Backlog:
    """What will be begun before a job of `team` that is sent now.

    All of its own team's work of the same priority, and of each other team the share that falls
    due meanwhile; for batch work all interactive work too. What is `ANYBODY`'s goes before it.
    `weights` are the teams' shares, 1 if not named.
    """
    before = Backlog()
    for higher in HIGHER[priority]:
        for backlog in waiting[higher].values():
            before += backlog
    own = waiting[priority].get(team, Backlog())
    before += own
    turn = (own.work_tokens + work_tokens) / weights.get(team, 1.0)
    before += waiting[priority].get(ANYBODY, Backlog())
    for other, backlog in waiting[priority].items():
        if other not in (team, ANYBODY):
            before += _share(backlog, turn * weights.get(other, 1.0))
    return before


def forecast(pace: Pace, before: Backlog, *, work_tokens: float) -> Forecast:
    """Seconds until a job behind all that is done; it waits only if there is no room for it."""
    run_s = work_tokens * pace.token_s
    wait_s = before.work_tokens / pace.rate if before.jobs >= pace.free else 0.0
    if pace.ready_in_s is not None:
        return Forecast(Regime.COLD_START, pace.ready_in_s + wait_s + run_s)
    return Forecast(Regime.WAIT if wait_s > run_s else Regime.RUN, wait_s + run_s)


def eta(raw: Forecast, pace: Pace, now: float) -> Eta:
    """The forecast corrected by what came of the latest ones."""
    spread = pace.spreads.get(raw.regime, UNMEASURED)
    return Eta(now + raw.seconds * spread.p50, now + raw.seconds * spread.p90)


def _share(backlog: Backlog, most_tokens: float) -> Backlog:
    if backlog.work_tokens <= most_tokens:
        return backlog
    part = most_tokens / backlog.work_tokens
    return Backlog(round(backlog.jobs * part), most_tokens)
