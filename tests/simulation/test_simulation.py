"""Whatever strikes, every promise is kept; and a seed is the same world each time."""

import os
import subprocess
import sys

import pytest

from headpond.testing.simulation import hosts
from headpond.testing.simulation.__main__ import main
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.stores import STORES
from headpond.testing.simulation.world import simulate

SEEDS = range(30)
NOT_THERE = {"memory": set[Fault](), "sqlite": {Fault.MESSAGE_LOST}}
"""A queue in the database of the records does not lose what these know of."""


@pytest.mark.timeout(300)
@pytest.mark.no_cover
@pytest.mark.parametrize("store", STORES)
def test_every_promise_is_kept_in_every_world(store: str) -> None:
    # SPEC G2 G3 G4 Q3 Q4 Q5 Q6 W4: `make simulate-faults` looks at more seeds.
    runs = [simulate(seed, STORES[store]) for seed in SEEDS]
    assert {run.seed: run.violations for run in runs if run.violations} == {}
    assert {fault for run in runs for fault in run.faults} == set(Fault) - NOT_THERE[store]


@pytest.mark.no_cover
@pytest.mark.parametrize(("seed", "store"), [(0, "memory"), (3, "sqlite"), (4, "memory")])
def test_a_seed_is_the_same_world_each_time(seed: int, store: str) -> None:
    replay = ["--replay", str(seed), "--store", store]
    digests = {
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "headpond.testing.simulation", *replay],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    run = simulate(seed, STORES[store])
    assert digests == {f"seed {seed} on {store}: {run.steps:,} steps, trace {run.digest}\n"}


def test_a_replay_shows_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "memory", "--replay", "3", "--trace"]) == 0
    told = capsys.readouterr().out
    assert told.rstrip().splitlines()[-2].startswith("faults [")  # the plan
    assert "worker-0.1   begins" in told
    assert "world        is calm" in told


def test_the_command_tells_what_struck(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "sqlite", "--seeds", "2", "--first", "5"]) == 0
    told = capsys.readouterr().out
    assert "worlds                             2" in told
    assert "worlds with violations             0" in told


def test_a_world_that_breaks_a_promise_is_told_with_its_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hosts, "MOST_STEPS", 100)
    assert main(["--store", "memory", "--seeds", "1"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("seed 0 on memory: the world stopped")
    assert "batches 2, " in told
    assert "worlds with violations             1" in told
    assert main(["--store", "memory", "--replay", "0"]) == 1
    assert "  the world stopped" in capsys.readouterr().out
