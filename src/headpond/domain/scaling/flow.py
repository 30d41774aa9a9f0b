"""Policy `flow`: workers for what arrives, and for what waits.

    workers = ceil((arrivals/s * headroom + backlog / target_wait_s) / rate of a worker)

A queue that is served well is short, so its length says nothing of the workers that keep it short;
what arrives does.
"""

import math
from dataclasses import dataclass

from typing_extensions import override

from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.decision import Policy, Wish
from headpond.domain.scaling.observation import Observation
from headpond.domain.scaling.queue_depth import QueueDepth

WINDOW_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Flow(Policy):
    """As the module's page says; `unmeasured` decides as long as no worker's rate is known."""

    target_wait_s: float
    headroom: float
    unmeasured: QueueDepth

    @override
    def wish(self, seen: Observation, past: Arrivals | None, now: float) -> Wish:
        if seen.waiting is None or seen.arrived is None:
            return Wish(None, "what waits or arrives is not known", past)
        arrivals = (past or Arrivals()).noted(seen.arrived, now)
        if seen.rate is None or seen.rate.jobs <= 0:
            wish = self.unmeasured.wish(seen, None, now)
            return Wish(wish.workers, f"no rate was measured yet; {wish.why}", arrivals)
        per_s = arrivals.rate(WINDOW_S).jobs
        jobs, rate = seen.waiting.jobs, seen.rate.jobs
        needed = (per_s * self.headroom + jobs / self.target_wait_s) / rate
        why = (
            f"{per_s:.3g} jobs/s arrive (times {self.headroom:g}), {jobs} wait to be done in "
            f"{self.target_wait_s:g} s, a worker does {rate:.3g}/s"
        )
        return Wish(math.ceil(needed), why, arrivals)
