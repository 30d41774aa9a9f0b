"""Policy `deadline`: the fewest workers with which everything is done by its time.

Waiting work that has no deadline, and what arrives, is to be done within half the target wait; the
other half is for what could not be foreseen. With the earliest deadline first, a crew is enough if
by each time it can do what is due until then (C. L. Liu, J. W. Layland, JACM 20, 1973):

    due until x + arriving * (x - half the target) <= work that the crew does until x

Workers that would be asked for now work from the end of a cold start (its p90), so they can only do
what the present crew leaves then, and a queue that it will have done until then needs none of them.
A deadline that they can only miss counts for them as that of what has none.
So a short queue is what takes up the roughness of what arrives, and not workers that stand by.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.decision import Policy, Wish
from headpond.domain.scaling.demand import Demand, demand_in_jobs, whole
from headpond.domain.scaling.memory import Past
from headpond.domain.scaling.observation import Crew, Observation
from headpond.domain.scaling.queue_depth import QueueDepth

UNFORESEEN = 0.5
"""Share of the target wait that is left for what cannot be foreseen."""


@dataclass(frozen=True, kw_only=True)
class Deadline(Policy):
    """Counts in jobs; `unmeasured` decides while no rate is known."""

    target_wait_s: float
    window_s: float
    unmeasured: QueueDepth

    @override
    def wish(self, seen: Observation, past: Past | None, now: float) -> Wish:
        if seen.waiting is None or seen.arrived is None:
            return Wish(None, "what waits or arrives is not known", past)
        arrivals = (past if isinstance(past, Arrivals) else Arrivals()).noted(seen.arrived, now)
        demand = demand_in_jobs(seen, arrivals, self.window_s)
        if demand is None:
            wish = self.unmeasured.wish(seen, None, now)
            return Wish(wish.workers, f"no worker's rate is known yet: {wish.why}", arrivals)
        needed, why = self.needed(demand, demand.steady, seen, now)
        return Wish(whole(needed), why, arrivals)

    def needed(
        self, demand: Demand, later: float, seen: Observation, now: float
    ) -> tuple[float, str]:
        """Workers, not rounded, and why; `later` is what will arrive after a cold start."""
        cold_s = 0.0 if seen.cold_start is None else seen.cold_start.p90_s
        crew, within_s = seen.crew or Crew(), self.target_wait_s * (1 - UNFORESEEN)
        most, why = later, f"what arrives keeps {later:.2f} workers busy"
        for left_s, soonest_s, due in self._dues(demand, seen, within_s, cold_s, now):
            work = due + demand.steady * max(0.0, left_s - within_s)
            needed = min(crew.size, work / left_s)
            work = due + demand.steady * max(0.0, soonest_s - within_s)
            missing = work - _done(crew, soonest_s, cold_s, now)
            if missing > 0:
                needed = crew.size + missing / (soonest_s - cold_s)
            if needed > most:
                most, why = needed, f"{due:.0f} s of a worker's work are due within {left_s:.0f} s"
        return most, why

    def _dues(
        self, demand: Demand, seen: Observation, within_s: float, cold_s: float, now: float
    ) -> Iterator[tuple[float, float, float]]:
        """Seconds until a time, and until whoever is asked for now can have helped to keep it.

        With the worker-seconds of what waits that are due until then.
        """
        each_s = demand.queued / max(1, seen.waiting.jobs - seen.running) if seen.waiting else 0.0
        late_s = cold_s + within_s
        dues: list[tuple[float, float, float]] = []
        for due in seen.due:
            left_s = due.by - now if due.by > now else within_s
            in_time = left_s > cold_s + each_s
            dues.append((left_s, left_s if in_time else late_s, due.work.jobs * each_s))
        without = max(0.0, demand.queued - sum(work for _, _, work in dues))
        total = 0.0
        for left_s, soonest_s, work in sorted([*dues, (within_s, max(within_s, late_s), without)]):
            total += work
            yield left_s, soonest_s, total


def _done(crew: Crew, left_s: float, cold_s: float, now: float) -> float:
    """Worker-seconds that the crew does in `left_s` seconds."""
    starting = (left_s - max(0.0, cold_s - (now - asked_at)) for asked_at in crew.starting)
    return crew.ready * left_s + sum(max(0.0, span_s) for span_s in starting)
