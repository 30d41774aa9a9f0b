"""A cancel reaches the engine, from process to process."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headpond.adapters.openai.engine import OpenAIEngine
from headpond.client import Client
from headpond.domain.job import JobState
from tests.chaos.processes import Part, free_port
from tests.e2e.commands import up

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

PREFILL_MS = 100
LONG = "word " * 1_500
"""About 1,900 tokens: the engine reads them for longer than this test may take."""


@pytest.fixture
async def engine_url(tmp_path: Path) -> AsyncGenerator[str]:
    """An engine in a process of its own."""
    port = free_port()
    arguments = ["--port", str(port), "--prefill-ms", str(PREFILL_MS)]
    process = Part(
        "engine", ["headpond.testing.engine_server", *arguments], tmp_path / "engine.log"
    )
    process.start()
    yield f"http://127.0.0.1:{port}"
    process.kill()


@pytest.fixture
async def engine(engine_url: str) -> AsyncGenerator[OpenAIEngine]:
    """The same engine as a worker sees it, once it answers."""
    engine = OpenAIEngine("engine", engine_url)
    while not await engine.healthy():  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.05)
    yield engine
    await engine.close()


async def until_running(engine: OpenAIEngine, count: int) -> None:
    while (await engine.gauges()).running != count:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.05)


async def test_the_engine_lets_go_of_a_job_that_is_cancelled(
    engine_url: str, engine: OpenAIEngine, tmp_path: Path
) -> None:
    # SPEC W4
    quick = {"HEADPOND_POOLS__DEFAULT__LEASE_S": "1.5"}  # a heartbeat each half second
    async with (
        up(tmp_path, "--engine", engine_url, **quick) as system,
        Client(system.url) as client,
    ):
        job_id = await client.submit({"prompt": LONG})
        await until_running(engine, 1)
        assert (await client.cancel(job_id)).status is JobState.CANCELLED
        await until_running(engine, 0)
        # It was not run again, and the worker goes on.
        assert (await client.job(job_id)).attempts == 1
        next_id = await client.submit({"prompt": "Hi."})
        assert (await client.ended(next_id)).status is JobState.SUCCEEDED
        assert await system.stop() == 0
