"""The whole path with a real engine and the example model: llama.cpp always, vLLM on demand.

`make test-vllm` installs a vLLM for CPUs in an environment of its own, names its interpreter in
`VLLM_PYTHON` and runs these tests; without that, the vLLM half is skipped.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from openai import AsyncOpenAI

from headpond.adapters.openai.engine import OpenAIEngine
from headpond.client import Client
from headpond.demo.files import EXAMPLE_MODEL, held_out_file
from headpond.demo.titles import Title, job_for, read_titles
from headpond.domain.job import JobState, Usage
from headpond.domain.outcome import Answered
from headpond.ports.engine import Engine
from headpond.settings import EngineSettings, GatewaySettings, PoolSettings, Settings
from headpond.wiring.engines import open_engine
from headpond.wiring.gateways import open_gateway
from headpond.wiring.workers import open_worker
from tests.chaos.processes import free_port
from tests.servers import serving

MODEL_FOLDER = Path(__file__).parents[2] / "examples" / "product-categories" / "model"
VLLM_READY_S = 240
TITLES = 100

pytestmark = pytest.mark.timeout(VLLM_READY_S + 120)


@pytest.fixture(scope="module")
def vllm_url() -> Generator[str]:
    """A vLLM on this machine's CPU with the example model, ready to answer."""
    python = os.environ.get("VLLM_PYTHON")
    if python is None:
        pytest.skip("needs vLLM: run `make test-vllm`")
    port = free_port()
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(MODEL_FOLDER)]
    command += ["--served-model-name", EXAMPLE_MODEL, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--max-model-len", "512", "--dtype", "float32", "--enforce-eager"]
    command += ["--max-num-seqs", "16"]
    environ = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    server = subprocess.Popen(  # noqa: S603 - our own command line
        command, env={**os.environ, **environ}, start_new_session=True
    )
    try:
        asyncio.run(until_ready(f"http://127.0.0.1:{port}", server))
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


async def until_ready(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Returns when the server can take requests; fails if it ends first."""
    engine = OpenAIEngine("vllm", url)
    await until_healthy(engine, server)
    await engine.close()


async def until_healthy(engine: Engine, server: "subprocess.Popen[bytes] | None" = None) -> None:
    """Ask the engine again and again."""
    async with asyncio.timeout(VLLM_READY_S):
        while not await engine.healthy():
            assert server is None or server.poll() is None, "the engine ended at start"
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class System:
    """A running gateway and its only pool."""

    url: str
    pool: PoolSettings


@pytest.fixture(params=["llamacpp", "vllm"])
def engine_url(request: pytest.FixtureRequest) -> str | None:
    """Where the engine is; None for the embedded one."""
    return None if request.param == "llamacpp" else request.getfixturevalue("vllm_url")


@pytest.fixture
async def system(engine_url: str | None, tmp_path: Path) -> AsyncGenerator[System]:
    """Gateway and worker on SQLite, in front of each engine."""
    pool = PoolSettings(engine=EngineSettings(url=engine_url), models=(EXAMPLE_MODEL,))
    settings = Settings(
        home=str(tmp_path), gateway=GatewaySettings(port=0), pools={"default": pool}
    )
    async with (
        open_gateway(settings) as gateway,
        serving(gateway.app) as gateway_url,
        open_worker(settings, "default", name="worker") as worker,
    ):
        worker.start()
        yield System(gateway_url, pool)
        await worker.stop(grace_s=10)


async def answered(client: Client, title: Title) -> tuple[bool, float]:
    """Run one title through the gateway: whether the label is right, and its confidence."""
    job = await client.ended(await client.submit(job_for(title)))
    assert job.status is JobState.SUCCEEDED, job.error
    assert job.confidence is not None
    return job.text == title.category, job.confidence


async def test_held_out_titles_get_their_labels(system: System) -> None:
    # SPEC K1: the figure for all titles is printed by the example's evaluate.py.
    titles = read_titles(held_out_file(), TITLES)
    async with Client(system.url) as client:
        results = await asyncio.gather(*(answered(client, title) for title in titles))
    assert sum(right for right, _ in results) >= TITLES - 4
    assert all(0 < confidence <= 1 for _, confidence in results)


async def test_the_official_client_gets_an_answer(system: System) -> None:
    async with AsyncOpenAI(base_url=f"{system.url}/v1", api_key="unused") as client:
        assert [model.id async for model in await client.models.list()] == [EXAMPLE_MODEL]
        chat = await client.chat.completions.create(
            model=EXAMPLE_MODEL,
            messages=[
                {"role": "system", "content": "Categorise this product."},
                {"role": "user", "content": "apple iphone 8 plus 64gb silver"},
            ],
            temperature=0,
            max_tokens=8,
            logprobs=True,
        )
        background = await client.responses.create(
            model=EXAMPLE_MODEL,
            instructions="Categorise this product.",
            input="apple iphone 8 plus 64gb silver",
            temperature=0,
            background=True,
        )
        while background.status in ("queued", "in_progress"):
            background = await client.responses.retrieve(background.id)
    assert chat.choices[0].message.content == background.output_text == "Mobile Phones"
    assert chat.choices[0].logprobs is not None


async def test_a_stream_says_what_the_result_says(system: System) -> None:
    # SPEC G4: the engine's own stream, cut off after the first token and taken up again.
    async with AsyncOpenAI(base_url=f"{system.url}/v1", api_key="unused") as client:
        stream = await client.responses.create(
            model=EXAMPLE_MODEL,
            instructions="Categorise this product.",
            input="apple iphone 8 plus 64gb silver",
            temperature=0,
            background=True,
            stream=True,
        )
        text, last, response_id = "", -1, ""
        async for event in stream:
            last = event.sequence_number
            if event.type == "response.created":
                response_id = event.response.id
            if event.type == "response.output_text.delta":
                text += event.delta
                break
        await stream.close()
        async for event in await client.responses.retrieve(
            response_id, stream=True, starting_after=last
        ):
            last += 1
            assert event.sequence_number == last
            text += event.delta if event.type == "response.output_text.delta" else ""
        stored = await client.responses.retrieve(response_id)
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model=EXAMPLE_MODEL,
                messages=[
                    {"role": "system", "content": "Categorise this product."},
                    {"role": "user", "content": "apple iphone 8 plus 64gb silver"},
                ],
                temperature=0,
                logprobs=True,
                stream=True,
                stream_options={"include_usage": True},
            )
        ]
    chat = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == stored.output_text == chat == "Mobile Phones"
    assert chunks[-1].usage is not None
    assert any(chunk.choices[0].logprobs for chunk in chunks if chunk.choices)


async def test_a_streamed_job_has_the_result_of_one_that_is_not(system: System) -> None:
    body = {**job_for(read_titles(held_out_file(), 1)[0]), "temperature": 0}
    async with Client(system.url) as client:
        plain, streamed = [
            await client.ended(await client.submit({**body, "stream": stream}))
            for stream in (False, True)
        ]
    assert plain.result is not None
    assert streamed.result is not None
    assert streamed.text == plain.text
    assert streamed.usage == plain.usage
    assert streamed.confidence == pytest.approx(plain.confidence, rel=1e-3)
    assert {"id", "object", "created", "model", "choices", "usage"} <= streamed.result.keys()


async def test_a_request_that_the_engine_refuses_fails_at_once(system: System) -> None:
    # SPEC W5: longer than the model's context, and the engine says so.
    async with aiohttp.ClientSession(system.url) as session:
        async with session.post("/jobs", json={"prompt": "word " * 1500}) as response:
            accepted = await response.json()
        async with session.get(f"{accepted['poll_url']}?wait=60") as response:
            job = await response.json()
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error"]["message"]


async def test_the_gauges_of_the_engine_are_read(system: System) -> None:
    # SPEC W2
    async with open_engine(system.pool) as engine:
        await until_healthy(engine)
        outcome = await engine.complete(
            EXAMPLE_MODEL, b'{"messages":[{"role":"user","content":"hello"}],"max_tokens":4}'
        )
        gauges = await engine.gauges()
    assert isinstance(outcome, Answered)
    assert outcome.usage != Usage()
    assert (gauges.running, gauges.waiting) == (0, 0)
    if system.pool.engine.url is not None:
        assert gauges.kv_usage == 0.0
