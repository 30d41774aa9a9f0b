"""Policies by name: the product's own, what others do, and rules in a file.

flow, queue-depth, …   the product's policies, with the bounds of the command line
FILE                   a YAML file of scaling rules
article                the article's Python scaler on visible messages
cloudwatch             the article's alarms and step scaling
keda                   KEDA and an HPA
static                 as many as 99 of 100 minutes of ten need, always
forecast               knows the next minutes
cpu                    no queue; target tracking on CPU, machines crash when overloaded
request-count          no queue; target tracking on requests a machine, machines crash, too
request-count-queueing the same with engines that hold back what they cannot run
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec

from headpond.domain.scaling.checking import faults
from headpond.domain.scaling.rules import ScalingRules
from headpond.errors import InvalidRequest
from headpond.simulator.direct import Balancer
from headpond.simulator.fluid import EPOCH, STEP_S, Demand, Front, Setting
from headpond.simulator.scalers.article import StepAlarms, WorkerScaler
from headpond.simulator.scalers.fixed import Fixed
from headpond.simulator.scalers.forecast import Forecast
from headpond.simulator.scalers.gauges import Cpu, RequestCount
from headpond.simulator.scalers.keda import Keda
from headpond.simulator.scalers.ruled import Ruled
from headpond.simulator.scalers.scaler import Scaler

STATIC_WINDOW_S = 600.0
STATIC_SHARE = 0.99
REQUEST_COUNT_SHARE = 0.7
"""The target of request-count scaling, as a share of what a machine can do in a minute."""

OURS: tuple[str, ...] = tuple(
    name for name in get_args(get_type_hints(ScalingRules)["policy"]) if isinstance(name, str)
)


class Contender(msgspec.Struct, frozen=True):
    """A policy with what stands before its machines."""

    name: str
    scaler: Scaler
    front: Front


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every policy that does not bring its own."""

    least: int = 0
    most: int = 10

    def check(self) -> None:
        """Raises InvalidRequest where they do not go together."""
        for place, words in faults(ScalingRules(min=self.least, max=self.most)):
            option = f"--{'.'.join(place)}"
            raise InvalidRequest(f"{option}: {words}.", code="invalid_value", param=option)


def contender(name: str, setting: Setting, demand: Demand, bounds: Bounds) -> Contender:
    """A new one for a simulation. Raises InvalidRequest."""
    if name in OURS:
        rules = ScalingRules(policy=name, min=bounds.least, max=bounds.most)  # pyright: ignore[reportArgumentType]
        return Contender(name, Ruled(rules), Front())
    if name in OTHERS:
        return OTHERS[name](name, setting, demand, bounds)
    path = Path(name)
    if not path.exists():
        known = ", ".join((*OURS, *OTHERS))
        message = f"There is no policy {name!r}, nor a file of that name; there are {known}."
        raise InvalidRequest(message, code="invalid_value", param="--policy")
    return Contender(path.stem, Ruled(read_rules(path)), Front())


def read_rules(path: Path) -> ScalingRules:
    """Scaling rules as YAML. Raises InvalidRequest."""
    try:
        rules = msgspec.yaml.decode(path.read_bytes(), type=ScalingRules)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"{path} holds no scaling rules: {error}."
        raise InvalidRequest(message, code="invalid_value", param="--policy") from error
    for place, words in faults(rules):
        message = f"{path}: {'.'.join(place)}: {words}."
        raise InvalidRequest(message, code="invalid_value", param="--policy")
    return rules


def static_size(demand: Demand) -> int:
    """Machines that 99 of 100 spans of ten minutes need."""
    steps = round(STATIC_WINDOW_S / STEP_S)
    work = demand.work_s
    busy = sorted(
        sum(work[first : first + steps]) / STATIC_WINDOW_S for first in range(0, len(work), steps)
    )
    return max(1, math.ceil(busy[math.ceil(STATIC_SHARE * len(busy)) - 1] - 1e-9))


Build = Callable[[str, Setting, Demand, Bounds], Contender]


def _queued(make: Callable[[Bounds], Scaler]) -> Build:
    return lambda name, _setting, _demand, bounds: Contender(name, make(bounds), Front())


def _static(name: str, _setting: Setting, demand: Demand, _bounds: Bounds) -> Contender:
    return Contender(name, Fixed(static_size(demand)), Front())


def _forecast(name: str, setting: Setting, demand: Demand, bounds: Bounds) -> Contender:
    scaler = Forecast(
        demand.work_s,
        step_s=STEP_S,
        epoch=EPOCH,
        cold_start_s=setting.cold_start.median_s,
        most=bounds.most,
    )
    return Contender(name, scaler, Front())


def _cpu(name: str, setting: Setting, _demand: Demand, bounds: Bounds) -> Contender:
    scaler = Cpu(least=max(1, bounds.least), most=bounds.most)
    return Contender(name, scaler, Balancer(concurrency=setting.capacity.concurrency))


def _request_count(name: str, setting: Setting, demand: Demand, bounds: Bounds) -> Contender:
    requests = sum(come.requests for come in demand.bins)
    per_minute = 60 * requests / max(sum(demand.work_s), 1e-9)
    scaler = RequestCount(
        REQUEST_COUNT_SHARE * per_minute, least=max(1, bounds.least), most=bounds.most
    )
    overload = "queue" if name.endswith("queueing") else "crash"
    return Contender(name, scaler, Balancer(overload, concurrency=setting.capacity.concurrency))


OTHERS: Mapping[str, Build] = {
    "article": _queued(lambda bounds: WorkerScaler(least=bounds.least, most=bounds.most)),
    "cloudwatch": _queued(lambda bounds: StepAlarms(least=bounds.least, most=bounds.most)),
    "keda": _queued(lambda bounds: Keda(most=bounds.most)),
    "static": _static,
    "forecast": _forecast,
    "cpu": _cpu,
    "request-count": _request_count,
    "request-count-queueing": _request_count,
}
