"""Whatever strikes, every promise is kept; and a seed is the same world each time."""

import os
import subprocess
import sys

import pytest

from headpond.testing.simulation.__main__ import main
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.stores import STORES
from headpond.testing.simulation.world import simulate

SEEDS = range(40)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", STORES)
def test_every_promise_is_kept_in_every_world(store: str) -> None:
    # SPEC Q3 Q4 W4: `make simulate-faults` looks at more seeds.
    runs = [simulate(seed, STORES[store]) for seed in SEEDS]
    assert {run.seed: run.violations for run in runs if run.violations} == {}
    assert {fault for run in runs for fault in run.faults} == set(Fault)


@pytest.mark.parametrize(("seed", "store"), [(127, "sqlite"), (481, "memory")])
def test_what_a_world_found_once_is_mended(seed: int, store: str) -> None:
    assert simulate(seed, STORES[store]).violations == []


@pytest.mark.parametrize("store", STORES)
def test_a_seed_is_the_same_world_each_time(store: str) -> None:
    replay = ["--replay", "3", "--store", store]
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
    run = simulate(3, STORES[store])
    assert digests == {f"seed 3 on {store}: {run.steps:,} steps, trace {run.digest}\n"}


def test_a_replay_shows_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "memory", "--replay", "3", "--trace"]) == 0
    told = capsys.readouterr().out
    assert "worker-0.1   begins" in told
    assert "world        is calm" in told


def test_the_command_tells_what_struck(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "sqlite", "--seeds", "2", "--first", "5"]) == 0
    told = capsys.readouterr().out
    assert "worlds                             2" in told
    assert "worlds with violations             0" in told
