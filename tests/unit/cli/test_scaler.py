"""What operators ask and tell the scaler."""

import asyncio
import json
import time
from pathlib import Path

from headpond.domain.job import JobState
from headpond.domain.scaling.season import SLOT_S
from headpond.settings import Settings
from headpond.testing.records import a_job, new_job
from headpond.wiring.stores import open_store
from tests.command_line import Headpond

PREDICTIVE = "{default: {scaling: {policy: predictive}}}"


def test_orders_are_kept_until_they_are_taken_back(headpond: Headpond) -> None:
    def orders() -> dict[str, object]:
        return json.loads(headpond("scaler", "status", "--json").out)["state"]["orders"]

    assert headpond("scaler", "override", "3", "--for", "60").status == 0
    assert orders()["workers"] == 3
    assert headpond("scaler", "pause").status == 0
    assert orders() == {"paused": True, "workers": None, "until": None}
    assert headpond("scaler", "resume").status == 0
    assert orders() == {"paused": False, "workers": None, "until": None}


def test_a_pool_that_never_was_scaled_has_no_reasons(headpond: Headpond) -> None:
    assert headpond("scaler", "status").out == ("No decision was taken for the pool default yet.\n")
    assert json.loads(headpond("scaler", "history", "--json").out) == []
    assert headpond("scaler", "history").out.split() == ["at", "workers", "why"]


def test_the_audit_log_teaches_the_times_of_day(headpond: Headpond, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    asyncio.run(_work_was_done(tmp_path / "home"))
    told = headpond("scaler", "learn", HEADPOND_POOLS=PREDICTIVE)
    assert told.out == "default: learnt from 3 jobs.\n"
    told = headpond("scaler", "learn", "--json", HEADPOND_POOLS=PREDICTIVE)
    assert json.loads(told.out) == {"pool": "default", "jobs": 3}
    past = json.loads(headpond("scaler", "status", "--json").out)["state"]["memory"]["past"]
    assert past["rates"] == [3 / SLOT_S, 0.0]


def test_a_policy_that_looks_at_no_times_learns_nothing(headpond: Headpond) -> None:
    told = headpond("scaler", "learn")
    assert told.status == 2
    assert told.err.endswith("Set pools.default.scaling.policy to predictive.\n")


def test_messages_per_worker_come_from_a_load_test(headpond: Headpond) -> None:  # SPEC S7
    asked = ("scaler", "messages-per-worker", "--throughput", "40")
    assert headpond(*asked, "--latency", "90").out == "messages_per_worker: 60\n"
    told = json.loads(headpond(*asked, "--latency", "1", "--json").out)
    assert told == {"messages_per_worker": 1}


async def _work_was_done(home: Path) -> None:
    async with open_store(Settings(home=str(home))) as store:
        now = time.time()
        for _ in range(3):
            job = a_job(
                accepted_at=now // SLOT_S * SLOT_S - 2 * SLOT_S + 1,
                state=JobState.SUCCEEDED,
                finished_at=now,
            )
            await store.jobs.add(new_job(job))
