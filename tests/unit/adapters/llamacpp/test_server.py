import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from headpond.adapters.llamacpp import server as server_module
from headpond.adapters.llamacpp.serve import ServePlan
from headpond.adapters.llamacpp.server import (
    LlamaCppServer,
    check_gguf,
    default_threads,
    restart_delay_s,
)
from headpond.adapters.openai.engine import OpenAIEngine
from headpond.domain.outcome import Answered, Refused
from headpond.errors import MissingExtra, SettingsError

EXAMPLE = Path(__file__).parents[4] / "examples/product-categories/product-categories.gguf"

needs_engine = pytest.mark.skipif(
    not EXAMPLE.exists() or importlib.util.find_spec("xllamacpp") is None,
    reason="needs the example model and the extra llamacpp",
)


@pytest.fixture
async def server() -> AsyncGenerator[LlamaCppServer]:
    server = LlamaCppServer(EXAMPLE, aliases=["categories"], slots=2)
    yield server
    await server.stop()


@pytest.fixture
async def engine(server: LlamaCppServer) -> AsyncGenerator[OpenAIEngine]:
    engine = OpenAIEngine("embedded", server.url)
    yield engine
    await engine.close()


async def until_healthy(engine: OpenAIEngine) -> None:
    while not await engine.healthy():  # noqa: ASYNC110 - another process sets no event for us
        await asyncio.sleep(0.01)


def pid_of(server: LlamaCppServer) -> int:
    assert server._process is not None
    return server._process.pid


@needs_engine
async def test_a_gguf_file_becomes_an_engine(server: LlamaCppServer, engine: OpenAIEngine):
    await server.start()
    await until_healthy(engine)
    assert await engine.models() == ["categories"]
    answer = await engine.complete(
        "categories",
        b'{"messages":[{"role":"user","content":"smeg fridge"}],"max_tokens":8,"logprobs":true}',
    )
    assert isinstance(answer, Answered)
    assert answer.usage.prompt_tokens > 0
    assert answer.confidence is not None
    too_long = b'{"messages":[{"role":"user","content":"%b"}]}' % (b"word " * 2_000)
    assert isinstance(await engine.complete("categories", too_long), Refused)
    image = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}'
    seen = b'{"messages":[{"role":"user","content":[%b]}]}' % image
    assert isinstance(await engine.complete("categories", seen), Refused)
    gauges = await engine.gauges()
    assert (gauges.running, gauges.waiting) == (0, 0)


@needs_engine
async def test_an_engine_that_dies_is_started_again_at_the_same_place(
    server: LlamaCppServer, engine: OpenAIEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_module, "FIRST_RESTART_DELAY_S", 0.0)
    await server.start()
    watching = asyncio.create_task(server.watch())
    await until_healthy(engine)
    first = pid_of(server)
    os.kill(first, signal.SIGKILL)
    while pid_of(server) == first:  # noqa: ASYNC110 - nor is a restart announced
        await asyncio.sleep(0.01)
    await until_healthy(engine)
    await server.stop()
    await watching
    assert not await engine.healthy()


STARTER = """
import asyncio, sys
from pathlib import Path
from headpond.adapters.llamacpp.server import LlamaCppServer

async def main():
    server = LlamaCppServer(Path(sys.argv[1]))
    await server.start()
    print(server._process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@needs_engine
@pytest.mark.skipif(sys.platform != "linux", reason="waits for the process by pidfd")
async def test_the_engine_dies_with_a_parent_that_was_killed():
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, str(EXAMPLE), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(await parent.stdout.readline()))
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(child, gone.set)
    parent.kill()
    await parent.wait()
    await gone.wait()
    asyncio.get_running_loop().remove_reader(child)
    os.close(child)


@needs_engine
async def test_stopping_works_twice_and_watching_ends_with_it(server: LlamaCppServer):
    await server.start()
    watching = asyncio.create_task(server.watch())
    await server.stop()
    await server.stop()
    await watching


@needs_engine
async def test_a_child_that_will_not_end_is_killed(
    server: LlamaCppServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server_module, "STOP_TIMEOUT_S", 0.0)
    await server.start()
    process = server._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    await server.stop()
    assert process.returncode == -signal.SIGKILL


@needs_engine
async def test_a_broken_model_ends_the_child_with_a_sentence(tmp_path: Path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    plan = ServePlan(
        model=str(path), port=0, aliases=(), context_tokens=64, slots=1, threads=1, connections=4
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headpond.adapters.llamacpp.serve",
        msgspec.json.encode(plan).decode(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    told = await child.stderr.read()
    assert f"cannot serve {path}".encode() in told
    assert b"Traceback" not in told
    assert await child.wait() == 1


async def test_stopping_works_before_start(server: LlamaCppServer):
    await server.stop()
    await server.watch()


async def test_nobody_else_is_given_the_port(server: LlamaCppServer):
    port = int(server.url.rsplit(":", 1)[1])
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


async def test_without_xllamacpp_the_way_to_get_it_is_named(
    server: LlamaCppServer, monkeypatch: pytest.MonkeyPatch
):
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[llamacpp\]'"):
        await server.start()


def test_a_file_that_is_not_there_or_no_model_is_a_wrong_setting(tmp_path: Path):
    with pytest.raises(SettingsError, match="No such file"):
        check_gguf(tmp_path / "missing.gguf")
    with pytest.raises(SettingsError, match="directory"):
        check_gguf(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(SettingsError, match="not a GGUF file"):
        check_gguf(tmp_path / "model.safetensors")


def test_there_is_always_a_thread():
    assert default_threads() >= 1


def test_an_engine_that_keeps_dying_is_started_ever_later():
    delays = [0.0]
    while len(delays) < 9:
        delays.append(restart_delay_s(delays[-1], lived_s=1.0))
    assert delays[1:] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert restart_delay_s(30.0, lived_s=60.0) == 0.5


@needs_engine
async def test_a_restart_that_fails_is_tried_again(
    server: LlamaCppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.start()
    first, spawn, failures = pid_of(server), server._spawn, [OSError("no memory")]

    async def failing() -> None:
        if failures:
            raise failures.pop()
        await spawn()

    monkeypatch.setattr(server, "_spawn", failing)
    watching = asyncio.create_task(server.watch())
    os.kill(first, signal.SIGKILL)
    while pid_of(server) == first:  # noqa: ASYNC110 - a restart is not announced
        await asyncio.sleep(0.01)
    await server.stop()
    await watching
    assert not failures
