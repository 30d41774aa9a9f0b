"""A live run of the autoscaler: a burst from zero, drain, back to zero.

usage: python -m benchmarks.live_autoscale [--jobs 240] [--per-s 8] [--cold-start 20] [--max 4]

`headpond up --autoscale` runs as it does for anybody: a gateway, a scaler and worker processes. The
engine is `headpond.testing.engine_server`, where a request takes a second however many run, so a
worker with four in flight does four a second. Prints one JSON document, for the simulator to be
compared with: the settings, the arrivals (seconds from the first), each job's wait until a worker
took it, and the fleet at each change.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from headpond.client import Client, RemoteJob
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
    return _report(trial, jobs, steps)


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
