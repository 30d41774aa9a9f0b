"""What the article claims of scaling, each simulated: reproduced or refuted by a figure.

A worker does 1.25 requests a second (the article's 50 to 100 a minute on an A10G), a machine costs
$0.35 an hour (its spot price of a g5.xlarge) and starts in 240 s.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from headpond.domain.scaling.rules import ScalingRules
from headpond.simulator.capacity import flat
from headpond.simulator.direct import Balancer
from headpond.simulator.fluid import Setting, demand_of, flow
from headpond.simulator.machines import ColdStart
from headpond.simulator.result import Result
from headpond.simulator.scalers.article import WorkerScaler
from headpond.simulator.scalers.fixed import Fixed
from headpond.simulator.scalers.gauges import Cpu, RequestCount
from headpond.simulator.scalers.ruled import Ruled
from headpond.simulator.scalers.scaler import Scaler
from headpond.simulator.traces.arrivals import Arrival, Trace
from headpond.simulator.traces.formulas import flowing
from headpond.simulator.traces.naming import read_trace
from headpond.simulator.traces.rates import RateTrace
from headpond.simulator.traces.requests import RequestTrace

WORKER_RATE: Final = 1.25
USD: Final = 0.35
DAY_S: Final = 86_400.0


def setting(trace: Trace, *, warm: int = 0, cold_start: ColdStart | None = None) -> Setting:
    """The article's machines under a load."""
    return Setting(
        trace=trace,
        capacity=flat(WORKER_RATE),
        on_demand_usd=USD,
        warm=warm,
        cold_start=cold_start or ColdStart(),
    )


def run(at: Setting, scaler: Scaler, front: Balancer | None = None) -> Result:
    """One policy."""
    return flow(at, demand_of(at), scaler, "", front)


def working_hours(rate: float) -> Trace:
    """Eight hours on five days of seven."""

    def per_s(at_s: float) -> float:
        hour, day = at_s % DAY_S / 3600, int(at_s // DAY_S) % 7
        return rate if day < 5 and 9 <= hour < 17 else 0.0  # noqa: PLR2004 - Monday to Friday, nine to five

    return RateTrace("working hours", flowing(per_s), span_s=7 * DAY_S)


def scale_to_zero() -> Iterator[str]:
    """60-70 % saved on a workload of 8 hours on weekdays."""
    at = setting(working_hours(0.6), warm=1)
    always = run(at, Fixed(1))
    for name, scaler in (
        ("the article's rule", WorkerScaler(most=1)),
        ("flow", Ruled(ScalingRules(max=1))),
    ):
        found = run(at, scaler)
        saved = 1 - found.hours.total / always.hours.total
        yield (
            f"{name}: {saved:.0%} saved ({found.hours.total:.1f} of {always.hours.total:.0f} "
            f"machine hours), {found.late_share:.2%} later than 60 s, {found.starts} cold starts"
        )


def no_queue() -> Iterator[str]:
    """CPU scaling without a queue: 503s and crashes."""
    day = setting(read_trace("diurnal:4", days=2), warm=3)
    per_minute = 60 * WORKER_RATE
    for name, scaler, front in (
        ("CPU 60 %, engines that crash when full", Cpu(), Balancer("crash")),
        ("CPU 60 %, engines that hold back", Cpu(), Balancer("queue")),
        ("requests a machine, engines that crash", RequestCount(0.7 * per_minute), Balancer()),
        ("requests a machine, hold back", RequestCount(0.7 * per_minute), Balancer("queue")),
        ("a queue, the article's rule", WorkerScaler(), None),
        ("a queue, flow", Ruled(ScalingRules()), None),
    ):
        found = run(day, scaler, front)
        yield (
            f"{name}: {found.errors / found.requests:.2%} errors, {found.crashes:,} crashes, "
            f"{found.late_share:.2%} late or failed, {found.over_work:.2f} times the work"
        )


def flapping() -> Iterator[str]:
    """Scale-in after 60-90 s flaps; ten minutes do not."""
    bursts = [
        Arrival(480.0 * burst + number * 0.2, 300, 50)
        for burst in range(90)
        for number in range(300)
    ]
    at = setting(RequestTrace("bursts", bursts, span_s=DAY_S / 2))
    for down_s in (60.0, 90.0, 600.0):
        for name, scaler in (
            ("the article's rule", WorkerScaler(down_cooldown_s=down_s)),
            ("flow", Ruled(ScalingRules(down_cooldown_s=down_s))),
        ):
            found = run(at, scaler)
            yield (
                f"{name}, scale-in after {down_s:.0f} s: {found.starts} cold starts in 12 h, "
                f"{found.late_share:.1%} late, {found.hours.total:.1f} machine hours"
            )


def herd() -> Iterator[str]:
    """From zero to ten at once: all load, none becomes healthy in time, all are replaced."""
    spike = RequestTrace(
        "spike", [Arrival(number / 100, 300, 50) for number in range(5000)], span_s=4 * 3600.0
    )
    crowd = ColdStart(median_s=240, links=2, load_share=0.5, grace_s=300)
    for name, cold_start, rules in (
        ("ten at once, a grace of 300 s", crowd, ScalingRules(max_step=10)),
        ("ten at once, a grace of 900 s", replace(crowd, grace_s=900.0), ScalingRules(max_step=10)),
        (
            "two, then as many again every 300 s, a grace of 300 s",
            crowd,
            ScalingRules(max_step=2, up_cooldown_s=300),
        ),
    ):
        found = run(setting(spike, cold_start=cold_start), Ruled(rules))
        yield (
            f"{name}: {found.given_up} machines given up, all waits by {found.wait_p99_s / 60:.0f} "
            f"min (p99), ${found.cost_usd:.2f}"
        )


def spikes() -> Iterator[str]:
    """500 messages need ten workers; 2,000 take 20-30 minutes and cost under $2."""
    for count in (500, 2000):
        at = setting(
            RequestTrace(
                "spike", [Arrival(number * 0.01, 300, 50) for number in range(count)], span_s=7200.0
            )
        )
        for name, scaler in (
            ("the article's rule", WorkerScaler()),
            ("flow", Ruled(ScalingRules())),
        ):
            found = run(at, scaler)
            most = max((decided.after for decided in found.decisions), default=0)
            yield (
                f"{count:,} messages, {name}: {most} workers at most, all taken after "
                f"{found.wait_p99_s / 60:.1f} min, ${found.cost_usd:.2f} until the fleet is gone"
            )


CLAIMS: Final = (scale_to_zero, no_queue, flapping, herd, spikes)


def claims() -> str:
    """Every claim with its figures, as Markdown."""
    parts: list[str] = []
    for claim in CLAIMS:
        parts.append(f"**{(claim.__doc__ or '').rstrip('.')}**")
        parts.append("\n".join(f"- {line}" for line in claim()))
    return "\n\n".join(parts)
