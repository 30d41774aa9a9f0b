"""Several policies on one trace."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from headpond.errors import InvalidRequest
from headpond.simulator.direct import Balancer
from headpond.simulator.engine.core import Engine as EngineModel
from headpond.simulator.fluid import Demand, Setting, demand_of, flow, warm_start
from headpond.simulator.optimum import Bound, offline_bound
from headpond.simulator.product.simulation import run_product
from headpond.simulator.result import Result
from headpond.simulator.scalers.naming import Bounds, contender
from headpond.simulator.scalers.ruled import Ruled


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What every policy made of the same requests, and what none can go below.

    Supposed were the median `cold_start_s`, and the `worker_rate`: requests a second of a full
    worker, None without work.
    """

    trace: str
    seed: int
    days: float
    requests: float
    work_bound_h: float
    worker_rate: float | None
    cold_start_s: float
    warm: int
    target_wait_s: float
    late_allowed: float
    bound: Bound | None
    results: list[Result]

    def meets_target(self, result: Result) -> bool:
        """Whether so few were late as is allowed."""
        return result.late_share <= self.late_allowed


def compare(
    setting: Setting,
    policies: Sequence[str],
    bounds: Bounds,
    *,
    model: EngineModel | None = None,
    optimum: bool = False,
    late_allowed: float = 0.005,
    warm: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run each policy on the trace; all begin with the same warm machines.

    Those are what the first ten minutes need unless `warm` says how many. With the `model` of an
    engine the product itself is run, without one the fluid model. `told` hears what is under way.
    Raises InvalidRequest.
    """
    told(f"reading {setting.trace.name}")
    demand = demand_of(setting)
    begun = warm_start(demand.work_s) if warm is None else warm
    setting = replace(setting, warm=min(begun, bounds.most))
    results = [
        _run(name, setting=setting, demand=demand, bounds=bounds, model=model, told=told)
        for name in policies
    ]
    bound = None
    if optimum:
        told("offline optimum")
        bound = offline_bound(setting, demand, late_allowed)
        results = [
            replace(result, over_optimum=bound.times(result.hours.total)) for result in results
        ]
    requests = sum(come.requests for come in demand.bins)
    work_s = sum(demand.work_s)
    return Comparison(
        trace=setting.trace.name,
        seed=setting.seed,
        days=setting.trace.span_s / 86_400,
        requests=requests,
        work_bound_h=work_s / 3600,
        worker_rate=requests / work_s if work_s else None,
        cold_start_s=setting.cold_start.median_s,
        warm=setting.warm,
        target_wait_s=setting.target_wait_s,
        late_allowed=late_allowed,
        bound=bound,
        results=results,
    )


def _run(
    name: str,
    *,
    setting: Setting,
    demand: Demand,
    bounds: Bounds,
    model: EngineModel | None,
    told: Callable[[str], None],
) -> Result:
    told(name)
    one = contender(name, setting, demand, bounds)
    if model is None:
        return flow(setting, demand, one.scaler, one.name, one.front)
    if isinstance(one.front, Balancer):
        message = f"{name} has no queue, so the product cannot be run that way."
        raise InvalidRequest(message, code="invalid_value", param="--policy")
    scaler = one.scaler.rules if isinstance(one.scaler, Ruled) else one.scaler
    return run_product(setting, model, scaler, name, at_once=setting.capacity.concurrency)
