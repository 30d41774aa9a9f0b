"""How many workers the caps on money leave."""

import math

from headpond.domain.scaling.observation import Crew, Spent
from headpond.domain.scaling.rules import ScalingRules

HOUR_S = 3_600.0
DAY_S = 86_400.0


def affordable(rules: ScalingRules, spent: Spent | None, crew: Crew | None, now: float) -> float:
    """Most workers whose cost until the end of the hour, and of the day, is still within the caps.

    Infinity without a cap. What is not known to be spent counts as nothing, but then no more than a
    cap's share of time is ever used. Draining workers still cost.
    """
    price = rules.usd_per_worker_hour
    if price is None:
        return math.inf
    draining = 0 if crew is None else crew.draining
    most = math.inf
    for cap, used, period_s in (
        (rules.max_usd_per_hour, None if spent is None else spent.hour_usd, HOUR_S),
        (rules.max_usd_per_day, None if spent is None else spent.day_usd, DAY_S),
    ):
        if cap is not None:
            left_s = period_s if used is None else period_s - now % period_s
            workers = (cap - (used or 0.0)) / (price * left_s / HOUR_S)
            most = min(most, max(0, math.floor(workers + 1e-9) - draining))
    return most
