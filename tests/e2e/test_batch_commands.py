"""`headpond batch …` against a gateway with a worker."""

import json
from pathlib import Path

import pytest

from tests.command_line import Headpond
from tests.e2e.test_batches import chat_line, jsonl
from tests.e2e.test_job_commands import Commands
from tests.servers import Running


@pytest.fixture
def commands(headpond: Headpond, running: Running) -> Commands:
    return Commands(headpond, running.url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "input.jsonl"
    path.write_bytes(jsonl([chat_line("a"), chat_line("b", "refuse"), chat_line("c")]))
    return path


@pytest.fixture
def good_file(tmp_path: Path) -> Path:
    path = tmp_path / "good.jsonl"
    path.write_bytes(jsonl([chat_line("a")]))
    return path


async def test_a_batch_is_submitted_awaited_and_its_results_written(
    commands: Commands, file: Path, tmp_path: Path
) -> None:
    done = await commands("batch", "submit", str(file), "--wait")
    assert (done.status, done.out.splitlines()[-1]) == (1, "2 of 3 completed, 1 failed")
    batch_id = done.err.split()[0]
    shown = json.loads((await commands("batch", "show", batch_id, "--json")).out)
    assert (shown["status"], shown["completion_window"]) == ("completed", "24h")
    lines = (await commands("batch", "results", batch_id)).out.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["a", "c", "b"]
    output = tmp_path / "output.jsonl"
    assert "are in" in (await commands("batch", "results", batch_id, "-o", str(output))).err
    assert output.read_text().splitlines() == lines
    assert batch_id in (await commands("batch", "list")).out
    (listed,) = json.loads((await commands("batch", "list", "--json")).out)
    assert listed == shown


async def test_a_batch_whose_requests_all_succeed_ends_well(
    commands: Commands, good_file: Path
) -> None:
    done = await commands("batch", "submit", str(good_file), "--wait")
    assert (done.status, done.out.splitlines()[-1]) == (0, "1 of 1 completed, 0 failed")


async def test_a_batch_is_cancelled(commands: Commands, file: Path, running: Running) -> None:
    running.engine.gate.clear()
    batch_id = (await commands("batch", "submit", str(file), "--window", "90m")).out.strip()
    early = await commands("batch", "results", batch_id)
    assert (early.status, "come with its end" in early.err) == (1, True)
    cancelled = await commands("batch", "cancel", batch_id, "--json")
    assert "0 of" in (await commands("batch", "cancel", batch_id)).out
    assert json.loads(cancelled.out)["status"] in {"cancelling", "cancelled"}


@pytest.fixture
def bad_file(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jsonl"
    path.write_text("{}\n")
    return path


async def test_what_is_wrong_is_told(commands: Commands, bad_file: Path, tmp_path: Path) -> None:
    done = await commands("batch", "submit", str(bad_file), "--wait")
    assert done.status == 1
    assert "line 1: missing_required_parameter" in done.out
    missing = await commands("batch", "submit", str(tmp_path / "none.jsonl"))
    assert (missing.status, "cannot be read" in missing.err) == (2, True)
    endpoint = await commands("batch", "submit", str(bad_file), "--endpoint", "/v1/embeddings")
    assert (endpoint.status, "endpoint" in endpoint.err) == (2, True)
    unknown = await commands("batch", "show", "batch_none")
    assert (unknown.status, "There is no batch" in unknown.err) == (2, True)
    batch_id = done.err.split()[0]
    nowhere = await commands("batch", "results", batch_id, "-o", str(tmp_path / "no" / "file"))
    assert (nowhere.status, "cannot be written" in nowhere.err) == (2, True)
