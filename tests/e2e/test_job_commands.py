"""`headpond submit`, `get`, `jobs` and `cancel` against a gateway with a worker."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from headpond.cli import bulk
from tests.command_line import Ended, Headpond
from tests.emulators.serving import served
from tests.servers import Running


class Commands:
    """Runs commands beside the gateway that they talk to."""

    def __init__(self, headpond: Headpond, url: str) -> None:
        self._headpond = headpond
        self._url = url

    async def __call__(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        return await asyncio.to_thread(self._headpond, *arguments, HEADPOND_URL=self._url)


@pytest.fixture
def commands(headpond: Headpond, running: Running) -> Commands:
    return Commands(headpond, running.url)


async def test_a_prompt_is_submitted_and_its_answer_shown(commands: Commands) -> None:
    done = await commands("submit", "Echo.", "--system", "Be brief.", "--max-tokens", "9", "--wait")
    assert (done.status, done.out.splitlines()[-1]) == (0, "echo: Echo.")
    job_id = done.out.split()[0]
    shown = json.loads((await commands("get", job_id, "--json")).out)
    assert (shown["status"], shown["text"]) == ("succeeded", "echo: Echo.")
    listed = await commands("jobs", "--state", "succeeded")
    assert (job_id in listed.out, listed.err) == (True, "")
    assert "The newest 1; there may be more" in (await commands("jobs", "--limit", "1")).err


@asynccontextmanager
async def cutting(url: str, *, waits: int) -> AsyncGenerator[str]:
    """A way to the gateway on which the first so many requests for a job's end are cut off."""
    host, port = url.removeprefix("http://").split(":")
    left = waits

    async def forward(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        answers, requests = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(pump(answers, writer))
        try:
            while request := await client.read(65_536):
                if left and request.startswith(b"GET"):
                    left -= 1
                    break
                requests.write(request)
        finally:
            back.cancel()
            writer.close()
            requests.close()

    async def pump(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await answers.read(65_536):
            writer.write(answer)

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_wait_that_is_cut_off_goes_on(headpond: Headpond, running: Running) -> None:
    # Of three, aiohttp tries one again by itself.
    async with cutting(running.url, waits=3) as url:
        done = await Commands(headpond, url)("submit", "Echo.", "--wait")
    assert (done.status, done.out.splitlines()[-1:]) == (0, ["echo: Echo."])


async def test_a_job_whose_end_cannot_be_learnt_leaves_its_id(
    headpond: Headpond, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PATIENCE", 1)
    async with cutting(running.url, waits=1_000) as url:
        done = await Commands(headpond, url)("submit", "Echo.", "--wait")
    assert (done.status != 0, done.out) == (True, "")
    job_id = done.err.splitlines()[0]
    shown = await Commands(headpond, running.url)("get", job_id, "--wait")
    assert shown.out.endswith("echo: Echo.\n")


@asynccontextmanager
async def deaf(url: str, *, after: int) -> AsyncGenerator[str]:
    """A way to the gateway that takes no more answers back once so many jobs are made."""
    left = after

    async def forward(request: web.Request) -> web.StreamResponse:
        nonlocal left
        async with aiohttp.ClientSession() as session:
            body = await request.read()
            async with session.request(
                request.method, url + request.path_qs, headers=request.headers, data=body
            ) as answer:
                left -= 1
                if left < 0:
                    return web.Response(status=503)
                told = {"content-type": "application/json"}
                return web.Response(status=answer.status, body=await answer.read(), headers=told)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    async with served(app) as there:
        yield there


async def test_a_file_that_was_left_off_is_gone_on_with(
    headpond: Headpond, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PATIENCE", 1)
    monkeypatch.setattr(bulk, "AT_ONCE", 1)
    file = tmp_path / "prompts.txt"
    file.write_text("one\n\ntwo\nthree\nfour\n")
    async with deaf(running.url, after=2) as url:
        stopped = await Commands(headpond, url)("submit", "--file", str(file))
    first, (told, error) = stopped.out.split(), stopped.err.splitlines()
    assert (stopped.status, len(first)) == (1, 2)
    run = told.partition("--resume ")[2].partition(" ")[0]
    assert told == (
        f"{file}: 2 of 4 lines are jobs, 1 more may be, the first of them line 4; line 5 and what "
        f"follows was not handed in. The same command with --resume {run} goes on, and makes no "
        "second job of a line, within a day by default."
    )
    assert error.startswith("error: ")
    commands = Commands(headpond, running.url)
    resumed = await commands("submit", "--file", str(file), "--resume", run)
    ids = resumed.out.split()
    assert (resumed.status, ids[:2], len(set(ids))) == (0, first, 4)
    assert len(json.loads((await commands("jobs", "--json")).out)) == 4
    file.write_text("one\n\nzwei\n")
    changed = await commands("submit", "--file", str(file), "--resume", run)
    assert (changed.status, changed.out.split()) == (2, first[:1])
    assert f"{file}, line 3: " in changed.err
    anew = (await commands("submit", "--file", str(file))).out.split()
    assert not {*anew} & {*ids}
    both = await commands("submit", "--file", str(file), "--resume", run, "--once")
    assert (both.status, both.err) == (2, "error: --once and --resume exclude each other.\n")


async def test_what_was_handed_in_with_once_goes_on_by_itself(
    headpond: Headpond, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PATIENCE", 1)
    file = tmp_path / "prompts.txt"
    file.write_text("one\ntwo\n")
    async with deaf(running.url, after=0) as url:
        told = (await Commands(headpond, url)("submit", "--file", str(file), "--once")).err
    assert "0 of 2 lines are jobs, 2 more may be, the first of them line 1. The same comm" in told
    commands = Commands(headpond, running.url)
    assert len((await commands("submit", "--file", str(file), "--once")).out.split()) == 2
    assert len(json.loads((await commands("jobs", "--json")).out)) == 2


async def test_a_prompt_comes_from_standard_input(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe"))
    job_id = json.loads((await commands("submit", "-", "--json")).out)["job_id"]
    assert (await commands("get", job_id, "--wait")).out.endswith("echo: from a pipe\n")


async def test_a_job_is_cancelled(commands: Commands, running: Running) -> None:
    running.engine.gate.clear()
    job_id = (await commands("submit", "Echo.")).out.strip()
    cancelled = await commands("cancel", job_id)
    assert cancelled.status == 0
    assert "cancelled: The job was cancelled by its owner." in cancelled.out
    running.engine.gate.set()


async def test_a_file_of_an_unknown_kind_is_refused(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    file.write_text("[]\n")
    refused = await commands("submit", "--file", str(file))
    assert refused.status == 2
    assert "prompts.json: name it .txt for a prompt a line, or .jsonl" in refused.err


async def test_prompts_come_from_a_text_file(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\n\ntwo\n")
    done = await commands("submit", "--file", str(file), "--wait", "--json")
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == [
        "echo: one",
        "echo: two",
    ]
    table = (await commands("submit", "--file", str(file), "--wait")).out
    assert "two" in table
    ids = (await commands("submit", "--file", str(file))).out.split()
    assert len(set(ids)) == 2


async def test_jobs_come_from_a_file_of_json_lines(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('"one"\n{"prompt": "t\u2028wo", "priority": "interactive"}\n')
    done = await commands("submit", "--file", str(file), "--system", "S", "--wait", "--json")
    jobs = [json.loads(line) for line in done.out.strip().split("\n")]
    assert [(job["text"], job["priority"]) for job in jobs] == [
        ("echo: one", "batch"),
        ("echo: t\u2028wo", "interactive"),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [("{", "line 2: this is not JSON"), ("7", "line 2: an object or a string is expected")],
)
async def test_a_bad_line_is_told(commands: Commands, tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(f'"one"\n{line}\n')
    done = await commands("submit", "--file", str(file))
    assert (done.status, done.out) == (2, "")
    assert told in done.err


@pytest.mark.parametrize("options", [(), ("--json",), ("--wait",)])
async def test_a_job_that_is_refused_is_told_and_those_accepted_are_not_lost(
    commands: Commands, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('"one"\n{"wish": "x"}\n')
    done = await commands("submit", "--file", str(file), *options)
    *notes, complaint = done.err.splitlines()
    assert done.status == 2
    assert complaint.startswith(f"error: {file}, line 2: ")
    assert "wish" in complaint
    (job,) = json.loads((await commands("jobs", "--json")).out)
    told = "".join(notes) if "--wait" in options else done.out
    assert job["job_id"] in told


BAD_LINES = '"one"\n{"prompt": "x", "max_tokens": -1}\n\n{"prompt": "y", "model": "z"}\n"two"\n'


async def test_every_line_gets_its_id_or_its_error(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(BAD_LINES)
    done = await commands("submit", "--file", str(file), "--json")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert (done.status, [line["line"] for line in told]) == (2, [1, 2, 4, 5])
    assert [line["error"]["param"] for line in told[1:3]] == ["max_tokens", "model"]
    ids = {job["job_id"] for job in json.loads((await commands("jobs", "--json")).out)}
    assert {told[0]["job_id"], told[3]["job_id"]} == ids
    assert [complaint.split(": ")[1] for complaint in done.err.splitlines()] == [
        f"{file}, line 2",
        f"{file}, line 4",
    ]


async def test_the_lines_that_were_accepted_are_waited_for(
    commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(BAD_LINES)
    done = await commands("submit", "--file", str(file), "--json", "--wait")
    told = [json.loads(line) for line in done.out.splitlines()]
    assert (done.status, [line["line"] for line in told]) == (2, [1, 2, 4, 5])
    assert [line.get("text") for line in told] == ["echo: one", None, None, "echo: two"]
    table = await commands("submit", "--file", str(file), "--wait")
    assert table.status == 2
    assert [line.split()[0] for line in table.out.splitlines()] == ["line", "1", "5"]


async def test_what_was_accepted_once_is_not_run_again(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(f'"one"\n{BAD_LINES}')
    first = (await commands("submit", "--file", str(file), "--once")).out.split()
    file.write_text('"zero"\n"one"\n"one"\n"two"\n')
    again = (await commands("submit", "--file", str(file), "--once")).out.split()
    assert again[1:] == first
    assert len(set(again)) == 4


async def test_what_is_wrong_with_every_line_is_told_once(
    headpond: Headpond, running: Running, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\ntwo\n")
    for url in ("nonsense", f"{running.url}/elsewhere"):
        done = await Commands(headpond, url)("submit", "--file", str(file))
        assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)


async def test_ids_are_told_before_the_wait(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\ntwo\n")
    done = await commands("submit", "--file", str(file), "--wait", "--json")
    assert done.err.split() == [json.loads(line)["job_id"] for line in done.out.splitlines()]
