"""Streams with real processes: workers that are killed or frozen while they speak. SPEC G4, W7."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent

from headpond.domain.job import JobId, JobState
from headpond.ports.streams import Entry
from headpond.settings import EngineSettings, GatewaySettings, PoolSettings, Settings
from headpond.wiring.gateways import open_gateway
from headpond.wiring.stores import open_store
from tests.e2e.commands import environment
from tests.servers import serving

pytestmark = pytest.mark.timeout(120)

WORDS = [f"word{number}" for number in range(40)]
ANSWER = " ".join(WORDS)
LEASE_S = 1.5


@dataclass
class System:
    """A gateway in this process; engine and workers in processes of their own."""

    url: str
    settings: Settings
    environ: dict[str, str]

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        """A worker process, killed at the end if it is still there."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headpond", "worker", env=self.environ
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @asynccontextmanager
    async def worker_on_demand(self) -> AsyncGenerator[asyncio.Event]:
        """One more worker, from the moment when the event is set."""
        go = asyncio.Event()

        async def work() -> None:
            await go.wait()
            async with self.worker() as process:
                await process.wait()

        working = asyncio.create_task(work())
        try:
            yield go
        finally:
            working.cancel()
            await asyncio.wait([working])

    def client(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0)

    async def entries(self, job_id: str) -> list[Entry]:
        """All that is in a job's stream."""
        async with open_store(self.settings) as store:
            return await store.streams.read(JobId(job_id), after=0, limit=10_000)

    async def until(self, job_id: str, fact: Callable[[list[Entry]], bool]) -> None:
        """Wait until the job's stream is as wanted."""
        while not fact(await self.entries(job_id)):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


@asynccontextmanager
async def fake_engine() -> AsyncGenerator[str]:
    """An engine that takes two seconds for its answer, in a process; yields its URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headpond.testing.engine_server"),
        *("--model", "model", "--answer", ANSWER, "--decode-ms", "50"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().split()[-1]
    finally:
        process.kill()
        await process.communicate()


@pytest.fixture
async def system(tmp_path: Path) -> AsyncGenerator[System]:
    async with fake_engine() as engine_url:
        pool = PoolSettings(
            engine=EngineSettings(url=engine_url), models=("model",), lease_s=LEASE_S
        )
        settings = Settings(
            home=str(tmp_path), gateway=GatewaySettings(port=0), pools={"default": pool}
        )
        environ = environment(
            {
                "HEADPOND_HOME": str(tmp_path),
                "HEADPOND_POOLS__DEFAULT__ENGINE__URL": engine_url,
                "HEADPOND_POOLS__DEFAULT__MODELS": '["model"]',
                "HEADPOND_POOLS__DEFAULT__LEASE_S": str(LEASE_S),
            }
        )
        async with open_gateway(settings) as gateway, serving(gateway.app) as url:
            yield System(url, settings, environ)


class Fault(msgspec.Struct):
    """An error in a stream."""

    code: str
    poll_url: str


def text_of(events: list[ResponseStreamEvent]) -> str:
    """What the deltas say, void ones left out as docs/streams.md has it."""
    text = ""
    for event in events:
        match event.type:
            case "response.queued":
                text = ""
            case "response.output_text.delta":
                text += event.delta
            case _:
                pass
    return text


async def test_a_background_response_is_resumed_without_gap_or_repeat(system: System) -> None:
    async with system.worker(), system.client() as client:
        events: list[ResponseStreamEvent] = []
        stream = await client.responses.create(
            model="model", input="hello", background=True, stream=True
        )
        async for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        created = events[0]
        assert created.type == "response.created"
        response_id = created.response.id
        while events[-1].type != "response.completed":
            # Again and again cut off after a few events.
            rest = await client.responses.retrieve(
                response_id, stream=True, starting_after=events[-1].sequence_number
            )
            seen = 0
            async for event in rest:
                events.append(event)
                seen += 1
                if seen == 7:
                    break
            await rest.close()
        stored = await client.responses.retrieve(response_id)

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text_of(events) == stored.output_text == ANSWER


async def test_the_official_helper_follows_a_stream(system: System) -> None:
    async with (
        system.worker(),
        system.client() as client,
        client.responses.stream(model="model", input="hello", background=True) as stream,
    ):
        snapshots = [e.snapshot async for e in stream if e.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert snapshots[-1] == final.output_text == ANSWER


async def test_a_chat_is_streamed(system: System) -> None:
    async with system.worker(), system.client() as client:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="model",
                messages=[{"role": "user", "content": "hello"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        ]
    *spoken, last = chunks
    assert "".join(chunk.choices[0].delta.content or "" for chunk in spoken) == ANSWER
    assert spoken[-1].choices[0].finish_reason == "stop"
    assert last.usage is not None
    assert last.usage.completion_tokens == len(WORDS)


async def test_a_killed_worker_is_a_restart_and_the_text_is_the_result(system: System) -> None:
    async with system.client() as client, system.worker() as first, system.worker_on_demand() as go:
        events: list[ResponseStreamEvent] = []
        stream = await client.responses.create(
            model="model", input="hello", background=True, stream=True
        )
        async for event in stream:
            events.append(event)
            if len(events) == 8:
                first.send_signal(signal.SIGKILL)
                go.set()
    last = events[-1]
    assert last.type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events].count("response.queued") == 2
    assert text_of(events) == last.response.output_text == ANSWER


async def test_a_killed_worker_ends_a_chat_with_an_error(system: System) -> None:
    async def ask(first: asyncio.subprocess.Process, go: asyncio.Event) -> None:
        stream = await client.chat.completions.create(
            model="model", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        spoken = 0
        async for _ in stream:
            spoken += 1
            if spoken == 3:
                first.send_signal(signal.SIGKILL)
                go.set()

    async with (
        system.client() as client,
        system.worker() as first,
        system.worker_on_demand() as go,
        aiohttp.ClientSession(system.url) as session,
    ):
        with pytest.raises(openai.APIError) as raised:
            await ask(first, go)
        error = msgspec.convert(raised.value.body, Fault)
        async with session.get(error.poll_url, params={"wait": "60"}) as answer:
            job = await answer.json()
    assert error.code == "stream_restarted"
    assert (job["status"], job["text"]) == (JobState.SUCCEEDED, ANSWER)


async def test_a_frozen_worker_that_wakes_writes_nothing(system: System) -> None:  # SPEC Q4
    async with aiohttp.ClientSession(system.url) as session, system.worker() as zombie:
        async with session.post("/jobs", json={"prompt": "hello", "stream": True}) as answer:
            job_id = (await answer.json())["job_id"]
        await system.until(job_id, lambda entries: len(entries) > 5)
        os.kill(zombie.pid, signal.SIGSTOP)
        async with system.worker():
            await system.until(job_id, lambda entries: entries[-1].run != entries[0].run)
            os.kill(zombie.pid, signal.SIGCONT)
            async with session.get(f"/jobs/{job_id}", params={"wait": "60"}) as answer:
                job = await answer.json()
        entries = await system.entries(job_id)
    restart = next(entry for entry in entries if entry.choices is None)
    runs = [entry.run for entry in entries]
    assert runs == sorted(runs)
    assert len(set(runs)) == 2
    assert {entry.run for entry in entries if entry.seq > restart.seq} == {restart.run}
    assert (job["text"], job["status"]) == (ANSWER, JobState.SUCCEEDED)
