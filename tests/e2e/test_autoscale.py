"""`headpond up --autoscale`: from nothing to workers and back, with real processes."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.live_autoscale import Trial, run

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.no_cover,
    pytest.mark.skipif(sys.platform != "linux", reason="ends processes by signals"),
]


async def test_a_burst_wakes_workers_and_when_it_is_done_they_go(tmp_path: Path) -> None:  # SPEC S3
    trial = Trial(
        jobs=40,
        per_s=20.0,
        cold_start_s=1.0,
        run_s=0.2,
        max_workers=3,
        target_wait_s=2.0,
        down_cooldown_s=3.0,
        every_s=0.5,
    )
    told = await run(trial, tmp_path)
    assert told["ended"] == {"succeeded": 40}
    targets = [step["target"] for step in told["fleet"]]
    assert (told["fleet"][0]["ready"], targets[-1]) == (0, 0)
    assert 1 <= max(targets) <= 3
    assert max(step["ready"] for step in told["fleet"]) >= 1
    # The last one goes last.
    falls = [b for a, b in pairwise(targets) if b < a]
    assert falls[-1] == 0
    assert targets[targets.index(max(targets)) :][-2] <= 1
