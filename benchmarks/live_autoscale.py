"""A live run of the autoscaler: a burst from zero, drain, back to zero.

usage: python -m benchmarks.live_autoscale [--jobs 240] [--per-s 8] [--cold-start 20] [--max 4]

`headpond up --autoscale` runs as it does for anybody: a gateway, a scaler and worker processes. The
engine is `headpond.testing.engine_server`, where a request takes a second however many run, so a
worker with four in flight does four a second. The simulator then runs the product on virtual time
over the same arrivals, with the cold start that was measured.

Prints one JSON document: both beside each other with the ratio, the settings, the arrivals (seconds
from the first), each job's wait until a worker took it, and the fleet at each change.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from headpond.client import Client, RemoteJob
from headpond.domain.scaling.rules import ScalingRules
from headpond.domain.statistics import percentile
from headpond.simulator.capacity import flat
from headpond.simulator.engine import core, pace
from headpond.simulator.fluid import Setting
from headpond.simulator.machines import ColdStart
from headpond.simulator.product.simulation import run_product
from headpond.simulator.result import Result
from headpond.simulator.traces.arrivals import Arrival
from headpond.simulator.traces.requests import RequestTrace
from headpond.testing.engine_server import FakeEngine, Pace

AT_ONCE: Final = 4
"""Requests in flight of one worker."""

ANSWER: Final = "one two three four five six seven eight nine ten"
LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is done. `run_s` is how long the engine takes for a request."""

    jobs: int = 240
    per_s: float = 8.0
    cold_start_s: float = 20.0
    run_s: float = 1.0
    max_workers: int = 4
    target_wait_s: float = 30.0
    down_cooldown_s: float = 30.0
    every_s: float = 2.0

    def environment(self) -> dict[str, str]:
        """The settings of the trial, as variables."""
        scaling = {
            "MAX": self.max_workers,
            "TARGET_WAIT_S": self.target_wait_s,
            "DOWN_COOLDOWN_S": self.down_cooldown_s,
        }
        return {
            "HEADPOND_CONFIG": os.devnull,
            "HEADPOND_POOLS__DEFAULT__MAX_IN_FLIGHT": str(AT_ONCE),
            "HEADPOND_SCALER__EVERY_S": str(self.every_s),
            **{f"HEADPOND_POOLS__DEFAULT__SCALING__{k}": str(v) for k, v in scaling.items()},
        }


async def run(trial: Trial, home: Path) -> dict[str, Any]:
    """The trial, from an empty folder to an empty fleet."""
    words = len(ANSWER.split())
    pace = Pace(
        prefill_s_per_token=0.0, decode_s_per_token=trial.run_s / words, crowding=0.0, slots=1_000
    )
    environ = {**os.environ, **trial.environment(), "HEADPOND_HOME": str(home)}
    async with FakeEngine(answer=ANSWER, pace=pace) as engine:
        process = await _headpond(
            environ,
            *("up", "--json", "--port", "0", "--engine", engine.url),
            *("--autoscale", "--cold-start", str(trial.cold_start_s)),
        )
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            url = json.loads(await process.stdout.readline())["url"]
            jobs = await _burst(url, trial)
            steps = await _until_empty(environ)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
    told = _report(trial, jobs, steps)
    # A loop of its own, on virtual time.
    predicted = await asyncio.to_thread(predict, trial, told)
    return {"compared": compare(told, predicted), **told}


def predict(trial: Trial, told: Mapping[str, Any]) -> Result:
    """What the simulator makes of the same arrivals and cold starts."""
    words = len(ANSWER.split())
    engine = core.Engine(
        pace=pace.Pace(
            base_s=trial.run_s / words,
            weights_s=0.0,
            per_token_s=0.0,
            per_sequence_s=0.0,
            per_kv_token_s=0.0,
        ),
        kv_tokens=1_000_000,
    )
    arrivals = [Arrival(at_s, 1, words) for at_s in told["arrivals_s"]]
    setting = Setting(
        trace=RequestTrace("live", arrivals, span_s=told["arrivals_s"][-1] + 1),
        capacity=flat(AT_ONCE / trial.run_s, concurrency=AT_ONCE),
        cold_start=ColdStart(median_s=told["cold_start_s"]),
        target_wait_s=trial.target_wait_s,
    )
    rules = ScalingRules(
        max=trial.max_workers,
        target_wait_s=trial.target_wait_s,
        down_cooldown_s=trial.down_cooldown_s,
    )
    return run_product(setting, engine, rules, "flow", at_once=AT_ONCE)


def compare(told: Mapping[str, Any], predicted: Result) -> dict[str, dict[str, float]]:
    """Seen beside predicted, and seen over predicted. Machine seconds until the last answer."""
    waits = told["waits_s"]
    pairs = {
        "wait_p50_s": (percentile(waits, 0.5), predicted.wait_p50_s),
        "wait_p90_s": (percentile(waits, 0.9), predicted.wait_p90_s),
        "wait_p99_s": (percentile(waits, 0.99), predicted.wait_p99_s),
        "most_workers": (
            max(step["target"] for step in told["fleet"]),
            max(decided.after for decided in predicted.decisions),
        ),
        "machine_s": (_machine_s(told["fleet"], told["ended_s"]), predicted.hours.total * 3600),
    }
    return {
        name: {"seen": seen, "predicted": expected, "ratio": seen / expected}
        for name, (seen, expected) in pairs.items()
    }


def _machine_s(fleet: Sequence[Mapping[str, Any]], until_s: float) -> float:
    """What was asked for, times how long, until a moment."""
    spans = [(a["at_s"], b["at_s"], a["target"]) for a, b in pairwise(fleet)]
    return sum(max(0.0, min(end, until_s) - begin) * target for begin, end, target in spans)


async def _burst(url: str, trial: Trial) -> list[RemoteJob]:
    """Hand the jobs in at an even pace and wait for all of them."""
    async with Client(url) as client:

        async def one(number: int) -> RemoteJob:
            await asyncio.sleep(number / trial.per_s)
            return await client.ended(await client.submit({"prompt": f"Number {number}."}))

        return list(await asyncio.gather(*(one(number) for number in range(trial.jobs))))


async def _until_empty(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Wait until nobody is wanted and nobody is there; returns the scaler's steps, oldest first."""
    while True:
        process = await _headpond(environ, "scaler", "history", "--json", "--limit", "1000")
        out, _ = await process.communicate()
        steps: list[dict[str, Any]] = json.loads(out)
        if steps and steps[0]["target"] == 0 and not any(steps[0]["seen"]["crew"].values()):
            return steps[::-1]
        await asyncio.sleep(LOOK_EVERY_S)


def _report(trial: Trial, jobs: list[RemoteJob], steps: list[dict[str, Any]]) -> dict[str, Any]:
    began = min(job.accepted_at for job in jobs)
    ordered = sorted(jobs, key=lambda job: job.accepted_at)
    return {
        "trial": asdict(trial),
        "at_once": AT_ONCE,
        "ended": {
            state: [j.status for j in jobs].count(state) for state in {j.status for j in jobs}
        },
        "ended_s": max(job.finished_at or began for job in jobs) - began,
        "cold_start_s": _cold_start_s(steps),
        "arrivals_s": [round(job.accepted_at - began, 3) for job in ordered],
        "waits_s": [
            round(job.started_at - job.accepted_at, 3) for job in ordered if job.started_at
        ],
        "fleet": [
            {
                "at_s": round(step["at"] - began, 3),
                "target": step["target"],
                "ready": step["seen"]["crew"].get("ready", 0),
                "starting": len(step["seen"]["crew"].get("starting", ())),
                "draining": step["seen"]["crew"].get("draining", 0),
                "why": step["why"],
            }
            for step in steps
        ],
    }


def _cold_start_s(steps: list[dict[str, Any]]) -> float:
    """The median of those that the scaler had measured in the end."""
    known = [step["seen"].get("cold_start") for step in steps]
    return float([cold_start["p50_s"] for cold_start in known if cold_start][-1])


async def _headpond(environ: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headpond", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=environ,
    )


def main() -> None:
    """Run the trial and print what came of it."""
    parser = argparse.ArgumentParser(description="A burst from zero, drain, back to zero.")
    parser.add_argument("--jobs", type=int, default=Trial.jobs)
    parser.add_argument("--per-s", type=float, default=Trial.per_s)
    parser.add_argument("--cold-start", type=float, default=Trial.cold_start_s)
    parser.add_argument("--max", type=int, default=Trial.max_workers)
    options = parser.parse_args()
    trial = Trial(
        jobs=options.jobs,
        per_s=options.per_s,
        cold_start_s=options.cold_start,
        max_workers=options.max,
    )
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(asyncio.run(run(trial, Path(home))), indent=1))


if __name__ == "__main__":
    main()
