"""Policies `flow` and `work`: workers for what arrives, and for what will wait.

A queue that is served well is short, so its length says nothing of the workers that keep it short;
what arrives does. And a worker that is asked for now comes a cold start from now, so it is asked
for as soon as one will be missing then. `domain/scaling/demand.py` has the formula.

`flow` counts jobs, `work` their tokens, which is better where a few jobs are much longer than most.
"""

from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.decision import Policy, Wish
from headpond.domain.scaling.demand import Demand, whole
from headpond.domain.scaling.memory import Past
from headpond.domain.scaling.observation import Crew, Observation
from headpond.domain.scaling.queue_depth import QueueDepth

Measure = Callable[[Observation, Arrivals, float], Demand | None]


@dataclass(frozen=True, kw_only=True)
class Flow(Policy):
    """`measure` is what jobs are counted in; `unmeasured` decides while no rate is known."""

    target_wait_s: float
    headroom: float
    window_s: float
    measure: Measure
    unmeasured: QueueDepth

    @override
    def wish(self, seen: Observation, past: Past | None, now: float) -> Wish:
        if seen.waiting is None or seen.arrived is None:
            return Wish(None, "what waits or arrives is not known", past)
        arrivals = (past if isinstance(past, Arrivals) else Arrivals()).noted(seen.arrived, now)
        demand = self.measure(seen, arrivals, self.window_s)
        if demand is None:
            wish = self.unmeasured.wish(seen, None, now)
            return Wish(wish.workers, f"no worker's rate is known yet: {wish.why}", arrivals)
        needed, why = self.needed(demand, seen, now)
        return Wish(whole(needed), why, arrivals)

    def needed(self, demand: Demand, seen: Observation, now: float) -> tuple[float, str]:
        """Workers, not rounded, and why."""
        ahead_s = 0.0 if seen.cold_start is None else seen.cold_start.p90_s
        short = demand.shortfall(seen.crew or Crew(), ahead_s, now)
        flow = demand.arriving * self.headroom
        why = f"what arrives keeps {demand.arriving:.2f} workers busy, {flow:.2f} with head-room"
        if short > 0:
            when = f" in {ahead_s:.0f} s, when a new one is ready" if ahead_s else ""
            why += (
                f"; {short / self.target_wait_s:.2f} more to be done in {self.target_wait_s:.0f} s "
                f"with what waits{when}"
            )
        return flow + short / self.target_wait_s, why
