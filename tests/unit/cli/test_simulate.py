"""`headpond simulate` and `headpond replay`."""

import asyncio
import json
from pathlib import Path

import pytest

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.domain.job import JobState, Usage
from headpond.testing.records import a_job, new_job
from tests.command_line import Headpond

DAY = ("--days", "0.1", "--worker-rate", "1")


def test_policies_are_compared_in_a_table(headpond: Headpond, tmp_path: Path) -> None:
    html, svg = tmp_path / "page.html", tmp_path / "fleet.svg"
    done = headpond(
        "simulate", "--trace", "diurnal:2", *DAY, "--policy", "flow", "--policy", "keda",
        "--html", str(html), "--svg", str(svg), "--seed", "4",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "diurnal:2" in done.out
    assert [line.split()[0] for line in done.out.splitlines()[-2:]] == ["flow", "keda"]
    assert html.read_text().startswith("<!doctype html>")
    assert svg.read_text().startswith("<svg")


def test_the_same_as_json(headpond: Headpond) -> None:
    done = headpond("simulate", "--trace", "burst:200", *DAY, "--optimum", "--json")
    found = json.loads(done.out)
    assert [result["policy"] for result in found["results"]] == ["flow"]
    assert found["bound"]["all_in_time_h"] > 0
    assert done.err == ""


def test_what_is_too_small_for_an_optimum_is_not_compared_with_one(
    headpond: Headpond, tmp_path: Path
) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n"
        "2023-11-16 18:15:50.9951690,396,109\n"
        "2023-11-16 18:15:51.2224670,879,55\n"
    )
    asked = ("simulate", "--trace", str(trace), "--policy", "static", "--optimum")
    found = json.loads(headpond(*asked, "--json").out)
    assert found["bound"]["with_late_h"] == 0
    assert found["results"][0]["over_optimum"] is None
    lines = headpond(*asked).out.splitlines()
    assert "at least 0.0 hours" in lines[3]
    assert lines[-1].split()[7] == "-"


def test_the_product_itself_is_run(headpond: Headpond) -> None:
    options = ("--trace", "burst:60", "--days", "0.02", "--product", "--json")
    done = headpond("simulate", *options, "--policy", "flow", "--policy", "static")
    found = json.loads(done.out)["results"]
    assert [result["requests"] for result in found] == [60, 60]
    assert all(result["latency_p50_s"] > 0 for result in found)
    refused = headpond("simulate", *options, "--policy", "cpu")
    assert (refused.status, "has no queue" in refused.err) == (2, True)


def test_compare_runs_every_policy(headpond: Headpond) -> None:
    done = headpond("simulate", "--trace", "poisson:1", *DAY, "--compare", "--json")
    names = {result["policy"] for result in json.loads(done.out)["results"]}
    assert {"flow", "queue-depth", "article", "keda", "cpu", "request-count"} <= names


def test_what_cannot_be_simulated_is_told_in_a_line(headpond: Headpond, tmp_path: Path) -> None:
    for wrong in (
        ("--trace", "nowhere.csv"),
        ("--trace", "poisson:1", "--engine", "Z80"),
        ("--trace", "poisson:1", "--engine", "RTX4090"),
        ("--trace", "poisson:1", *DAY, "--policy", "best"),
        ("--trace", "poisson:1", *DAY, "--html", str(tmp_path)),
    ):
        done = headpond("simulate", *wrong)
        assert (done.status, done.out) == (2, ""), wrong
        assert "error:" in done.err


def test_bounds_are_those_that_settings_may_have(headpond: Headpond, tmp_path: Path) -> None:
    wrong = headpond("simulate", "--trace", "poisson:1", *DAY, "--min", "5", "--max", "2")
    assert wrong.status == 2
    assert "--min: it must not be more than max, which is 2." in wrong.err
    rules = tmp_path / "mine.yaml"
    rules.write_text("{min: 5, max: 2}")
    wrong = headpond("simulate", "--trace", "poisson:1", *DAY, "--policy", str(rules))
    assert wrong.status == 2
    assert "mine.yaml: min: it must not be more than max, which is 2." in wrong.err


def test_who_mistypes_a_formula_is_told_which_there_are(headpond: Headpond) -> None:
    wrong = headpond("simulate", "--trace", "wave:3")
    assert wrong.status == 2
    assert "no formula 'wave'" in wrong.err
    assert "poisson:, diurnal:, office:, burst:" in wrong.err


def test_a_file_may_be_named_like_a_formula(
    headpond: Headpond, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wave:3").write_text(
        "t_s,req_per_s,mean_input_tokens,mean_output_tokens\n0,1,300,50\n60,1,300,50\n"
    )
    monkeypatch.chdir(tmp_path)
    assert headpond("simulate", "--trace", "wave:3").status == 0


def test_the_own_audit_log_is_replayed(headpond: Headpond, tmp_path: Path) -> None:
    asyncio.run(_log(tmp_path / "headpond.db"))
    done = headpond("replay", "--worker-rate", "1", HEADPOND_HOME=str(tmp_path))
    assert done.status == 0, done.err
    assert "As it was: 60 jobs waited p50 2.0 s" in done.err
    assert "a worker does 1 requests a second, a cold start takes 240 s" in done.out
    assert done.out.splitlines()[-1].startswith("flow")
    nothing = headpond("replay", "--from", "2050-01-01", HEADPOND_HOME=str(tmp_path))
    assert nothing.status == 2
    assert "No job ended" in nothing.err
    quiet = headpond(
        "replay", "--worker-rate", "1", "--pool", "default", "--json", HEADPOND_HOME=str(tmp_path)
    )
    found = json.loads(quiet.out)
    assert (found["requests"], found["worker_rate"], found["cold_start_s"]) == (60, 1.0, 240.0)


def test_the_help_of_replay_says_how_to_give_measured_machines(headpond: Headpond) -> None:
    told = " ".join(headpond("replay", "--help").out.split())
    assert "last.seen.rate.jobs" in told
    assert "--worker-rate" in told


async def _log(file: Path) -> None:
    """Sixty jobs, a second apart, each of which waited for two."""
    database = Database(file)
    database.open()
    jobs = SqliteJobStore(database, SystemClock())
    for number in range(60):
        at = 1_700_000_000.0 + number
        await jobs.add(
            new_job(
                a_job(
                    accepted_at=at,
                    started_at=at + 2,
                    finished_at=at + 3,
                    state=JobState.SUCCEEDED,
                    usage=Usage(100, 20),
                )
            )
        )
    await database.close()
