"""Policy `predictive`: `deadline`, with workers also for what will arrive when they are ready.

It learns how arrivals change over the day and the week (`domain/scaling/season.py`), so that the
workers of the morning are warm when it comes. It never wishes for fewer workers than `deadline`, so
no burst finds it weaker; and for more only while forecasts of the last day were nearer to the truth
than to suppose that nothing changes, so a pattern that ends costs some hours of workers at most.
"""

from dataclasses import dataclass

from msgspec.structs import replace
from typing_extensions import override

from headpond.domain.scaling.deadline import Deadline
from headpond.domain.scaling.decision import Policy, Wish
from headpond.domain.scaling.demand import demand_in_jobs, whole
from headpond.domain.scaling.memory import Past
from headpond.domain.scaling.observation import Observation
from headpond.domain.scaling.season import Pattern, Season


@dataclass(frozen=True)
class Predictive(Policy):
    """`deadline` says what is needed for the arrivals that are to be expected."""

    deadline: Deadline

    @override
    def wish(self, seen: Observation, past: Past | None, now: float) -> Wish:
        if seen.arrived is None:
            return Wish(None, "what arrives is not known", past)
        season = past if isinstance(past, Season) else Season()
        lead_s = 0.0 if seen.cold_start is None else seen.cold_start.p90_s
        arrivals = season.arrivals.noted(seen.arrived, now)
        season = season.noted(arrivals, lead_s, now)
        demand = demand_in_jobs(seen, arrivals, self.deadline.window_s)
        if demand is None or seen.rate is None:
            return replace(self.deadline.wish(seen, arrivals, now), past=season)
        arriving = demand.steady * seen.rate.jobs
        span_s = self.deadline.target_wait_s
        expected, pattern = season.forecast(arriving, now, after_s=lead_s, span_s=span_s)
        needed, why = self.deadline.needed(demand, expected / seen.rate.jobs, seen, now)
        if pattern is not Pattern.STEADY and expected > arriving:
            why = f"{expected:.3g} jobs/s are expected, if {pattern}: {why}"
        return Wish(whole(needed), why, season)
