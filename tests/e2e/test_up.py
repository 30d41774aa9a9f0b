"""`headpond up` and its parts as real processes."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headpond.cli.bulk import submit_patiently
from headpond.client import Client
from headpond.domain.job import JobId, JobState
from headpond.settings import Settings
from headpond.testing.engine_server import FakeEngine, Hang
from headpond.wiring.stores import open_store
from tests.e2e.commands import environment, headpond, up
from tests.e2e.family import children

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


@pytest.fixture
async def engine() -> AsyncGenerator[FakeEngine]:
    async with FakeEngine(answer="It works") as engine:
        yield engine


async def test_a_job_goes_all_the_way(engine: FakeEngine, tmp_path: Path) -> None:
    async with up(tmp_path, "--engine", engine.url) as system:
        assert system.ready.models == ["fake"]
        done = await headpond("submit", "Does it?", "--wait", HEADPOND_URL=system.url)
        assert done.out.endswith("It works\n")
        # The store is open to other processes while the system runs.
        audit = await headpond("audit", "export", HEADPOND_HOME=str(tmp_path))
        entry = json.loads(audit.out)
        assert entry["job"]["id"] in done.out
        assert entry["request"]["messages"] == [{"role": "user", "content": "Does it?"}]
        assert await system.stop(signal.SIGINT) == 0


async def test_what_cannot_finish_in_the_drain_runs_at_the_next_start(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.next_faults.append(Hang())
    options = ("--engine", engine.url)
    async with up(tmp_path, *options, HEADPOND_WORKER__DRAIN_S="0.2") as system:
        async with Client(system.url) as client:
            job_id = await client.submit({"prompt": "Hang."})
        await engine.until(lambda: engine.requests > 0)
        assert await system.stop() == 0
    async with up(tmp_path, *options) as system, Client(system.url) as client:
        job = await client.ended(job_id)
        assert (job.status, job.attempts) == (JobState.SUCCEEDED, 1)


async def test_children_that_are_killed_come_back(engine: FakeEngine, tmp_path: Path) -> None:
    async with up(tmp_path, "--engine", engine.url, "--workers", "2") as system:
        family = children(system.process.pid)
        assert len(family) == 3
        for child in family:
            child.kill()
        async with Client(system.url) as client:
            # Not refused although the gateway is gone: the supervisor holds the port.
            job = await client.ended(await client.submit({"prompt": "Still there?"}))
        assert job.text == "It works"
        assert await system.stop() == 0


async def test_nobody_is_left_when_the_supervisor_is_killed(
    engine: FakeEngine, tmp_path: Path
) -> None:
    async with up(tmp_path, "--engine", engine.url) as system:
        family = children(system.process.pid)
        assert len(family) == 2
        system.process.kill()
        for child in family:
            await child.ended()


@pytest.mark.parametrize("options", [(), ("--autoscale",)], ids=["up", "autoscaled"])
async def test_a_second_signal_ends_everything_at_once(
    engine: FakeEngine, tmp_path: Path, options: tuple[str, ...]
) -> None:
    engine.fault = Hang()
    options = ("--engine", engine.url, *options)
    async with up(tmp_path, *options, HEADPOND_WORKER__DRAIN_S="3600") as system:
        family = children(system.process.pid)
        async with Client(system.url) as client:
            job_id = await client.submit({"prompt": "Hang."})
        await engine.until(lambda: engine.requests > 0)
        ended = asyncio.create_task(system.process.wait())
        while not ended.done():  # two that come together can count as one
            # Not by the process's own method, which may take its exit status from asyncio.
            with contextlib.suppress(ProcessLookupError):
                os.kill(system.process.pid, signal.SIGINT)
            await asyncio.wait({ended}, timeout=0.2)
        assert await ended in {0, -signal.SIGINT}  # the last one can come too late to be heard
        for child in family:
            await child.ended()
    async with open_store(Settings(home=str(tmp_path))) as store:
        job = await store.jobs.get(JobId(job_id))
    assert job is not None
    assert (job.state, job.attempts, job.lost_leases) == (JobState.QUEUED, 0, 0)


async def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = await headpond("up", "--port", str(port), "--home", str(tmp_path / "home"))
    assert (done.status, done.out) == (2, "")
    assert f"error: Port {port} of 127.0.0.1 is in use already." in done.err
    assert not (tmp_path / "home").exists()


async def test_a_gateway_for_others_needs_keys(tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--port", "0", "--home", str(tmp_path))  # noqa: S104
    done = await headpond("up", *options, "--engine", "http://127.0.0.1:9")
    assert done.status == 2
    assert "Create a key with `headpond keys create`" in done.err
    assert done.err.count("error:") == 1
    assert len(done.err.splitlines()) == 1, "nothing was started"


async def test_what_gateway_and_workers_lack_is_told_once(tmp_path: Path) -> None:
    here = {"HEADPOND_STORE": "postgresql://localhost/x", "HEADPOND_HOME": str(tmp_path)}
    program = "import sys; sys.modules['asyncpg'] = None; from headpond.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", program, "up", "--port", "0", "--engine", "http://127.0.0.1:9"),
        env=environment(here),
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 2
    assert told.count(b"needs the extra postgres") == len(told.splitlines()) == 1


async def test_gateway_and_worker_run_on_their_own(engine: FakeEngine, tmp_path: Path) -> None:
    environ = environment(
        {
            "HEADPOND_HOME": str(tmp_path),
            "HEADPOND_POOLS__DEFAULT__ENGINE__URL": engine.url,
            "HEADPOND_POOLS__DEFAULT__MODELS": "[fake]",
        }
    )
    command = (sys.executable, "-m", "headpond")
    gateway = await asyncio.create_subprocess_exec(
        *command, "gateway", "--port", "0", "--json", stdout=asyncio.subprocess.PIPE, env=environ
    )
    worker = await asyncio.create_subprocess_exec(*command, "worker", env=environ)
    assert gateway.stdout is not None
    async with Client(json.loads(await gateway.stdout.readline())["url"]) as client:
        job_id = await submit_patiently(client, {"prompt": "Go."}, "go")
        assert (await client.ended(job_id)).text == "It works"
    for process in (worker, gateway):
        process.terminate()
        assert await process.wait() == 0


async def test_a_gateway_says_where_it_is(tmp_path: Path) -> None:
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headpond", "gateway", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env=environment({"HEADPOND_HOME": str(tmp_path)}),
    )
    assert gateway.stdout is not None
    told = (await gateway.stdout.readline()).decode()
    assert re.fullmatch(
        r"The gateway is up at http://127\.0\.0\.1:\d+\. Ctrl-C drains and ends\.\n", told
    )
    gateway.terminate()
    assert await gateway.wait() == 0


async def test_the_lines_that_up_prints_work_once_there_are_keys(
    engine: FakeEngine, tmp_path: Path
) -> None:
    made = await headpond("keys", "create", "--team", "a", "--json", HEADPOND_HOME=str(tmp_path))
    environ = environment({"HEADPOND_API_KEY": json.loads(made.out)["secret"]})
    arguments = ("up", "--port", "0", "--home", str(tmp_path), "--engine", engine.url)
    system = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headpond", *arguments), stdout=asyncio.subprocess.PIPE, env=environ
    )
    assert system.stdout is not None
    told = (await system.stdout.readuntil(b".content)\n")).decode()
    snippet = told.split("(pip install openai):\n\n")[1]
    pasted = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", snippet), stdout=asyncio.subprocess.PIPE, env=environ
    )
    out, _ = await pasted.communicate()
    assert out == b"It works\n"
    system.terminate()
    assert await system.wait() == 0
