"""Scaling policies over real and synthetic loads, against the offline optimum.

usage: python -m benchmarks.scaling TRACES [--engines ENGINES] [--days 7] [--only azure,claims]

TRACES is a folder with the public traces by their names below; those that are missing are left
out. No time is measured: the same seed gives the same figures on any machine. Every trace is made
as dense as keeps 8 machines busy in its busiest ten minutes (99 of 100).
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.scaling_claims import claims
from headpond.simulator.capacity import Capacity, flat
from headpond.simulator.comparison import Comparison, compare
from headpond.simulator.engine.calibration import (
    SAGESERVE,
    Compared,
    compare_batches,
    compare_requests,
    read_requests,
)
from headpond.simulator.engine.profiles import profile
from headpond.simulator.fluid import STEP_S, Setting, demand_of
from headpond.simulator.scalers.naming import OURS, Bounds
from headpond.simulator.settings import Asked, setting_of
from headpond.simulator.traces import Trace, read_trace

SEED: Final = 20261125
MACHINES: Final = 8
MOST: Final = 20
WORKER_RATE: Final = 1.0
ENGINE: Final = "A10G/awq"
SPAN_S: Final = 600.0
POLICIES: Final = (*OURS, "article", "cloudwatch", "keda", "static", "forecast", "request-count")

Read = Callable[[float, float], Trace]


def loads(folder: Path) -> Mapping[str, tuple[Read, bool]]:
    """Each load: how to read it for a scale and so many days, and whether tokens are its work."""

    def file(name: str) -> Read:
        return lambda scale, days: read_trace(str(folder / name), days=days, scale=scale)

    files = {
        "azure": ("azure_llm_2023_code.csv", True),
        "mooncake": ("mooncake_conversation_trace.jsonl", True),
        "servegen-small": ("servegen_language_m-small_10min.csv", False),
        "servegen-mid": ("servegen_language_m-mid_10min.csv", False),
    }
    found = {
        name: (file(path), tokens)
        for name, (path, tokens) in files.items()
        if (folder / path).exists()
    }
    return {**found, "office": (office, False)}


def office(scale: float, days: float) -> Trace:
    """Working days, a week of them at least."""
    return read_trace("office:1", days=max(5.0, days), scale=scale)


def busiest(setting: Setting) -> float:
    """Machines that the busiest spans of ten minutes need, but for one of a hundred."""
    work_s, steps = demand_of(setting).work_s, round(SPAN_S / STEP_S)
    spans = sorted(
        sum(work_s[first : first + steps]) / SPAN_S for first in range(0, len(work_s), steps)
    )
    return spans[-1 - len(spans) // 100]


def measured(read: Read, days: float, *, tokens: bool) -> Comparison:
    """Every policy on one load."""
    asked = Asked(engine=ENGINE, worker_rate=None if tokens else WORKER_RATE)
    scale = 1.0 if tokens else 0.01
    for _ in range(3):
        setting = setting_of(read(scale, days), SEED, asked)
        scale *= MACHINES / busiest(setting)
    setting = setting_of(read(scale, days), SEED, asked)
    return compare(setting, POLICIES, Bounds(most=MOST), optimum=True)


def table(found: Mapping[str, Comparison]) -> str:
    """Cost over the optimum (and over the work), p99 of waits, late share: a row a policy."""
    lines = [
        "| policy | " + " | ".join(found) + " |",
        "|---|" + "---|" * len(found),
    ]
    for number, policy in enumerate(POLICIES):
        cells = [cell(comparison, number) for comparison in found.values()]
        lines.append(f"| {policy} | " + " | ".join(cells) + " |")
    bounds = [
        f"{comparison.bound.with_late_h / comparison.work_bound_h:.2f} work, "
        f"{comparison.bound.with_late_h:,.1f} h"
        for comparison in found.values()
        if comparison.bound is not None
    ]
    return "\n".join([*lines, "| *offline optimum* | " + " | ".join(bounds) + " |"])


def cell(comparison: Comparison, number: int) -> str:
    """One policy on one load; bold where so few were late as is allowed."""
    result = comparison.results[number]
    text = (
        f"{result.over_optimum or 0:.2f} ({result.over_work:.2f}), "
        f"{result.wait_p99_s:.0f} s, {result.late_share:.2%}"
    )
    return f"**{text}**" if comparison.meets_target(result) else text


def fidelity(folder: Path) -> str:
    """What the engine model says beside what was measured."""
    requests = read_requests(
        (folder / "RTX4090_llama31-8b_requests.jsonl").read_text().splitlines()
    )
    rows = [
        ("RTX 4090, vLLM 0.19", figure)
        for figure in compare_requests(profile("RTX4090/fp16").engine, requests)
    ]
    for cards, pace in SAGESERVE.items():
        lines = (folder / f"sageserve_Llama-3.1-8B-tp-{cards}.csv").read_text().splitlines()
        rows += [(f"{cards} x A100, SageServe", figure) for figure in compare_batches(pace, lines)]
    head = ["| engine | figure | measured s | predicted s | error |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(fidelity_row(engine, figure) for engine, figure in rows)])


def fidelity_row(engine: str, figure: Compared) -> str:
    """One figure."""
    return (
        f"| {engine} | {figure.what} | {figure.measured_s:.4f} | {figure.predicted_s:.4f} "
        f"| {figure.error:+.1%} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for and print it as Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.scaling", description=__doc__)
    parser.add_argument("traces", type=Path, help="folder with the public traces")
    parser.add_argument("--engines", type=Path, help="folder with measured engines")
    parser.add_argument("--days", type=float, default=7.0, help="no more of a trace (default: 7)")
    parser.add_argument("--only", default="", help="loads, or `claims`, comma-separated")
    options = parser.parse_args(arguments)
    only = {name for name in options.only.split(",") if name}
    capacity: Capacity = flat(WORKER_RATE)
    sys.stdout.write(
        f"scaling: seed {SEED}, {options.days:g} days at most, {MACHINES} machines at the peak, "
        f"at most {MOST}, cold start 240 s, late is later than 60 s; a worker does "
        f"{1 / capacity.per_request_s:g} request/s, on azure and mooncake what {ENGINE} does\n\n"
    )
    found = {
        name: measured(read, options.days, tokens=tokens)
        for name, (read, tokens) in loads(options.traces).items()
        if not only or name in only
    }
    if found:
        sys.stdout.write(table(found) + "\n\n")
    if not only or "claims" in only:
        sys.stdout.write(claims() + "\n\n")
    if options.engines is not None:
        sys.stdout.write(fidelity(options.engines) + "\n")


if __name__ == "__main__":
    main()
