"""Policy `deadline`: the fewest workers with which everything is done by its time.

Waiting work that has no deadline is due a target wait from now; what arrives is done as it comes.
With the earliest deadline first, a crew is enough if by each deadline it can do what is due until
then (C. L. Liu, J. W. Layland, JACM 20, 1973):

    due until x + arriving * (x - now) <= work that the crew does until x

Workers that are starting, and those that would be asked for now, work from the end of a cold start
(its p90). For what is due before that they come too late: it is due a target wait after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.decision import Policy, Wish
from headpond.domain.scaling.demand import Demand, demand_in_tokens, whole
from headpond.domain.scaling.memory import Past
from headpond.domain.scaling.observation import Crew, Observation
from headpond.domain.scaling.queue_depth import QueueDepth


@dataclass(frozen=True, kw_only=True)
class Deadline(Policy):
    """Counts in work tokens; `unmeasured` decides while no rate is known."""

    target_wait_s: float
    headroom: float
    window_s: float
    unmeasured: QueueDepth

    @override
    def wish(self, seen: Observation, past: Past | None, now: float) -> Wish:
        if seen.waiting is None or seen.arrived is None:
            return Wish(None, "what waits or arrives is not known", past)
        arrivals = (past if isinstance(past, Arrivals) else Arrivals()).noted(seen.arrived, now)
        demand = demand_in_tokens(seen, arrivals, self.window_s)
        if demand is None or seen.rate is None:
            wish = self.unmeasured.wish(seen, None, now)
            return Wish(wish.workers, f"no worker's rate is known yet: {wish.why}", arrivals)
        needed, why = self._needed(demand, seen, seen.rate.work_tokens, now)
        return Wish(whole(needed), why, arrivals)

    def _needed(
        self, demand: Demand, seen: Observation, rate: float, now: float
    ) -> tuple[float, str]:
        flow = demand.steady * self.headroom
        most, why = flow, f"what arrives keeps {demand.steady:.2f} workers busy"
        cold_s = 0.0 if seen.cold_start is None else seen.cold_start.p90_s
        crew = seen.crew or Crew()
        for left_s, due in self._dues(demand, seen, rate, now):
            needed = flow + due / left_s
            if due + demand.steady * left_s > _done(crew, left_s, cold_s, now):
                soonest_s = max(left_s, cold_s + self.target_wait_s)
                missing = due + demand.steady * soonest_s - _done(crew, soonest_s, cold_s, now)
                needed = max(needed, crew.size + missing / (soonest_s - cold_s))
            if needed > most:
                most = needed
                why = f"{due:.0f} s of a worker's work are due within {left_s:.0f} s"
        return most, why

    def _dues(
        self, demand: Demand, seen: Observation, rate: float, now: float
    ) -> Iterator[tuple[float, float]]:
        """Seconds until a deadline, and the worker-seconds due until then."""
        dues = [(due.by - now, due.work.work_tokens / rate) for due in seen.due]
        without = max(0.0, demand.queued - sum(work for _, work in dues))
        total = 0.0
        for left_s, work in sorted([*dues, (self.target_wait_s, without)]):
            total += work
            if total > 0:
                yield max(left_s, self.target_wait_s), total


def _done(crew: Crew, left_s: float, cold_s: float, now: float) -> float:
    """Worker-seconds that the crew does in `left_s` seconds."""
    starting = (left_s - max(0.0, cold_s - (now - asked_at)) for asked_at in crew.starting)
    return crew.ready * left_s + sum(max(0.0, span_s) for span_s in starting)
