"""A comparison as rows of text."""

from collections.abc import Iterator

from headpond.simulator.comparison import Comparison
from headpond.simulator.result import Result

COLUMNS = (
    "policy",
    "cost",
    "hours",
    "busy",
    "idle",
    "starting",
    "x work",
    "x optimum",
    "wait p50",
    "p90",
    "p99",
    "late",
    "errors",
    "starts",
    "crashes",
    "answer p50",
    "p99",
)


def rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """A row for each policy, in the order in which they were asked for."""
    for result in comparison.results:
        yield row(comparison, result)


def row(comparison: Comparison, result: Result) -> tuple[str, ...]:
    """One policy. Hours are machine hours, waits seconds."""
    hours = result.hours
    incomparable = "" if comparison.bound is None else "-"
    return (
        result.policy,
        f"${result.cost_usd:,.2f}",
        f"{hours.total:,.1f}",
        f"{hours.busy:,.1f}",
        f"{hours.idle:,.1f}",
        f"{hours.starting:,.1f}",
        f"{result.over_work:.2f}",
        incomparable if result.over_optimum is None else f"{result.over_optimum:.2f}",
        f"{result.wait_p50_s:,.0f} s",
        f"{result.wait_p90_s:,.0f} s",
        f"{result.wait_p99_s:,.0f} s",
        f"{result.late_share:.2%}",
        f"{result.errors:,.0f}",
        f"{result.starts:,}",
        f"{result.crashes:,}",
        "" if result.latency_p50_s is None else f"{result.latency_p50_s:,.1f} s",
        "" if result.latency_p99_s is None else f"{result.latency_p99_s:,.1f} s",
    )


def summary(comparison: Comparison) -> list[str]:
    """What was simulated, and what bounds every policy."""
    lines = [
        (
            f"{comparison.trace}: {comparison.requests:,.0f} requests in {comparison.days:.2f} days"
            f", seed {comparison.seed}, {comparison.warm} machines warm at the beginning"
        ),
        f"work of all requests: {comparison.work_bound_h:,.1f} machine hours",
        f"supposed: {_supposed(comparison)}",
    ]
    if comparison.bound is not None:
        bound = comparison.bound
        lines.append(
            f"offline optimum: at least {bound.with_late_h:,.1f} hours with {bound.late_share:.1%} "
            f"later than {comparison.target_wait_s:g} s, {bound.all_in_time_h:,.1f} with none"
        )
    return lines


def _supposed(comparison: Comparison) -> str:
    """The two figures that waits hang on most."""
    cold_start = f"a cold start takes {comparison.cold_start_s:g} s"
    if comparison.worker_rate is None:
        return cold_start
    return f"a worker does {comparison.worker_rate:.3g} requests a second, {cold_start}"
