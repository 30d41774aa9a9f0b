"""What operators ask and tell the scaler."""

import asyncio
import json
import re
import time
from pathlib import Path

from headpond.cli.console import local_time
from headpond.cli.scaler import crew_in_words, in_words
from headpond.domain.job import JobState
from headpond.domain.scaling.memory import Memory
from headpond.domain.scaling.observation import Crew, Observation, Orders
from headpond.domain.scaling.season import SLOT_S
from headpond.domain.scaling.state import ScalingState, ScalingStep
from headpond.settings import Settings
from headpond.testing.records import a_job, new_job
from headpond.wiring.stores import open_store
from tests.command_line import Headpond

NOW = 1_795_996_800.0
PREDICTIVE = "{default: {scaling: {policy: predictive}}}"
SCALED_BY_KEDA = "{default: {fleet: 'kubernetes://models/workers', scaling: {decides: other}}}"


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
    headpond("scaler", "resume")
    assert headpond("scaler", "status").out == (
        "No decision was taken for the pool default yet.\n"
        "In force: no order, the policy decides.\n"
        "No scaler is at work.\n"
    )
    assert json.loads(headpond("scaler", "history", "--json").out) == []
    assert headpond("scaler", "history").out.split() == ["at", "workers", "why"]


def test_each_order_is_confirmed_and_shown_without_a_scaler(headpond: Headpond) -> None:
    def order() -> str:
        return headpond("scaler", "status").out.splitlines()[1]

    told = headpond("scaler", "override", "12").out
    assert told == "default: 12 workers; max is 10.\n"
    assert order() == "In force: 12 workers; max is 10."
    told = headpond("scaler", "pause", "--for", "600").out
    assert re.fullmatch(r"default: paused until \S+ \S+\.\n", told)
    assert order() == told.replace("default", "In force").rstrip()
    assert headpond("scaler", "resume").out == "default: no order, the policy decides.\n"
    assert order() == "In force: no order, the policy decides."


def test_where_another_decides_the_status_says_so_and_orders_are_refused(
    headpond: Headpond,
) -> None:
    headpond("scaler", "resume")
    assert headpond("scaler", "status", HEADPOND_POOLS=SCALED_BY_KEDA).out == (
        "default: another decides how many workers there are (pools.default.scaling.decides). "
        "A scaler only has busy ones go last.\n"
    )
    told = headpond("scaler", "status", "--json", HEADPOND_POOLS=SCALED_BY_KEDA).out
    assert json.loads(told)["decides"] == "other"
    told = headpond("scaler", "pause", HEADPOND_POOLS=SCALED_BY_KEDA)
    assert told.status == 2
    assert told.err.endswith("(pools.default.scaling.decides). Give the order there.\n")


def test_the_status_has_the_latest_reason_and_the_order_of_now() -> None:
    state = ScalingState(pool="default").decided(
        Memory(target=2),
        why="what arrives keeps 1.20 workers busy",
        now=NOW,
        leader="a",
        leased_until=NOW + 30,
        spending=None,
        began_in_s={},
    )
    step = ScalingStep(
        pool="default",
        at=NOW - 50,
        before=1,
        target=2,
        why="an operator ordered so many",
        seen=Observation(crew=Crew(ready=2)),
    )
    state = state.ordered(Orders(workers=2, until=NOW))
    assert in_words(state, step, 10, NOW).splitlines() == [
        "default: 2 workers, because what arrives keeps 1.20 workers busy.",
        f"That was decided at {local_time(NOW)}.",
        "In force: no order, the policy decides.",
        f"At {local_time(NOW - 50)} there were 2 ready, 0 starting, 0 draining.",
    ]
    order = in_words(state, step, 10, NOW - 1).splitlines()[2]
    assert order == f"In force: 2 workers until {local_time(NOW)}."


def test_the_status_says_why_workers_are_not_there_yet() -> None:
    why = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    assert crew_in_words(Crew(1, (NOW,) * 3, pending=2, why=why)) == (
        f"1 ready, 3 starting, 2 of them pending ({why}), 0 draining"
    )
    assert crew_in_words(Crew(0, (NOW,), pending=1)) == (
        "0 ready, 1 starting, 1 of them pending, 0 draining"
    )
    assert crew_in_words(Crew(0, (NOW,), why="CrashLoopBackOff")) == (
        "0 ready, 1 starting (CrashLoopBackOff), 0 draining"
    )


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
