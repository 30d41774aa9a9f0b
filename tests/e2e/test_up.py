"""`headpond up` and its parts as real processes."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest

from commands import environment, headpond, up
from family import children
from headpond.testing.engine_server import FakeEngine, Hang

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


@pytest.fixture
async def engine() -> AsyncGenerator[FakeEngine]:
    async with FakeEngine(answer="It works") as engine:
        yield engine


async def test_a_job_goes_all_the_way(engine: FakeEngine, tmp_path: Path) -> None:
    def story() -> None:
        with up(tmp_path, "--engine", engine.url) as system:
            assert system.models == ["fake"]
            done = system.headpond("submit", "Does it?", "--system", "Be brief.", "--wait")
            assert done.out.endswith("It works\n")
            listed = json.loads(system.headpond("jobs", "--json").out)
            assert [job["status"] for job in listed] == ["succeeded"]
            audit = json.loads(system.headpond("audit", "list", "--json").out)
            assert [job["id"] for job in audit] == [listed[0]["job_id"]]
            assert system.stop(signal.SIGINT) == 0

    await asyncio.to_thread(story)


async def test_many_jobs_come_from_a_file(engine: FakeEngine, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one\n\ntwo\nthree\n")
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('"one"\n{"prompt": "two", "task_type": "t"}\n')

    def story() -> None:
        with up(tmp_path / "home", "--engine", engine.url) as system:
            done = system.headpond("submit", "--file", str(prompts), "--wait", "--json")
            assert [json.loads(line)["text"] for line in done.out.splitlines()] == ["It works"] * 3
            done = system.headpond("submit", "--file", str(jobs), "--system", "S", "--wait")
            assert done.out.count("It works") == 2
            ids = system.headpond("submit", "--file", str(prompts)).out.split()
            shown = json.loads(system.headpond("get", ids[2], "--wait", "--json").out)
            assert shown["text"] == "It works"

    await asyncio.to_thread(story)
    assert any(b'"content":"two"' in body and b'"content":"S"' in body for body in engine.bodies)


async def test_what_cannot_finish_in_the_drain_runs_at_the_next_start(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.next_faults.append(Hang())
    loop = asyncio.get_running_loop()

    def story() -> None:
        with up(tmp_path, "--engine", engine.url, HEADPOND_WORKER__DRAIN_S="0.2") as system:
            job_id = system.headpond("submit", "Hang.").out.strip()
            asyncio.run_coroutine_threadsafe(_asked(engine), loop).result(30)
            assert system.stop() == 0
        with up(tmp_path, "--engine", engine.url) as system:
            shown = json.loads(system.headpond("get", job_id, "--wait", "--json").out)
            assert (shown["status"], shown["attempts"]) == ("succeeded", 1)

    await asyncio.to_thread(story)


async def test_children_that_are_killed_come_back(engine: FakeEngine, tmp_path: Path) -> None:
    def story() -> None:
        with up(tmp_path, "--engine", engine.url, "--workers", "2") as system:
            family = children(system.process.pid)
            assert len(family) == 3
            for child in family:
                child.kill()
            # Not refused although the gateway is gone: the supervisor holds the port.
            done = system.headpond("submit", "Still there?", "--wait")
            assert done.out.endswith("It works\n")
            assert system.stop() == 0

    await asyncio.to_thread(story)


async def test_nobody_is_left_when_the_supervisor_is_killed(
    engine: FakeEngine, tmp_path: Path
) -> None:
    def story() -> None:
        with up(tmp_path, "--engine", engine.url) as system:
            family = children(system.process.pid)
            assert len(family) == 2
            system.process.kill()
            assert all(child.ended(timeout_s=30) for child in family)

    await asyncio.to_thread(story)


async def test_a_second_signal_ends_everything_at_once(engine: FakeEngine, tmp_path: Path) -> None:
    engine.fault = Hang()
    loop = asyncio.get_running_loop()

    def story() -> None:
        with up(tmp_path, "--engine", engine.url, HEADPOND_WORKER__DRAIN_S="3600") as system:
            family = children(system.process.pid)
            system.headpond("submit", "Hang.")
            asyncio.run_coroutine_threadsafe(_asked(engine), loop).result(30)
            while system.process.poll() is None:  # two that come together can count as one
                system.process.send_signal(signal.SIGINT)
                _wait_briefly(system.process)
            assert system.process.returncode == 0
            assert all(child.ended(timeout_s=30) for child in family)

    await asyncio.to_thread(story)


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = headpond("up", "--port", str(port), "--home", str(tmp_path / "home"))
    assert (done.status, done.out) == (2, "")
    assert f"error: Port {port} of 127.0.0.1 is in use already." in done.err
    assert not (tmp_path / "home").exists()


def test_a_gateway_for_others_needs_keys(tmp_path: Path) -> None:
    options = ("up", "--host", "0.0.0.0", "--port", "0", "--home", str(tmp_path))  # noqa: S104
    done = headpond(*options, "--engine", "http://127.0.0.1:9")
    assert done.status == 2
    assert "Create a key with `headpond keys create`" in done.err
    assert done.err.count("error:") == 1


async def test_gateway_and_worker_run_on_their_own(engine: FakeEngine, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    environ = environment(
        {
            "HEADPOND_HOME": str(tmp_path),
            "HEADPOND_POOLS__DEFAULT__ENGINE__URL": engine.url,
            "HEADPOND_POOLS__DEFAULT__MODELS": "[fake]",
        }
    )
    command = (sys.executable, "-m", "headpond")
    gateway = await asyncio.create_subprocess_exec(
        *command, "gateway", "--port", url.rpartition(":")[2], env=environ
    )
    worker = await asyncio.create_subprocess_exec(*command, "worker", env=environ)
    async with aiohttp.ClientSession() as session:
        submitted = await _posted(session, f"{url}/jobs")
        async with session.get(f"{url}{submitted}?wait=30") as answer:
            assert (await answer.json())["text"] == "It works"
    for process in (worker, gateway):
        process.terminate()
        assert await process.wait() == 0


async def _posted(session: aiohttp.ClientSession, url: str) -> str:
    """Post a job as soon as the gateway listens; returns where to look."""
    while True:
        try:
            async with session.post(url, json={"prompt": "Go."}) as answer:
                return (await answer.json())["poll_url"]
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)


async def _asked(engine: FakeEngine) -> None:
    await engine.until(lambda: engine.requests > 0)


def _wait_briefly(process: "subprocess.Popen[str]") -> None:
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return
