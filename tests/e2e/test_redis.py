"""The product with its queue, streams and rate limits in Redis, and a Redis that dies."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from openai import AsyncOpenAI, RateLimitError

from headpond.client import Client
from headpond.domain.identity import Limits
from headpond.domain.job import JobState
from headpond.domain.lane import lanes_of
from headpond.ports.audit import AuditQuery
from headpond.ports.queue import Depth
from headpond.settings import (
    EngineSettings,
    GatewaySettings,
    LimitSettings,
    PoolSettings,
    ReaperSettings,
    Settings,
)
from headpond.testing.engine_server import FakeEngine, Pace
from headpond.wiring.gateways import open_gateway
from headpond.wiring.stores import open_store
from headpond.wiring.workers import open_worker
from tests.redis_server import Daemon, running
from tests.servers import serving

pytestmark = pytest.mark.timeout(120)

JOBS = 30
ANSWER = "one two three four five six seven eight"


@pytest.fixture
def own_valkey(tmp_path: Path) -> Generator[Daemon]:
    """A server that may be killed."""
    with running(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
async def engine() -> AsyncGenerator[FakeEngine]:
    """One that takes a fifth of a second for an answer."""
    pace = Pace(decode_s_per_token=0.025, crowding=0.0)
    async with FakeEngine(model="model", answer=ANSWER, pace=pace) as fake:
        yield fake


def on_redis(home: Path, engine: FakeEngine, valkey: Daemon, limits: Limits) -> Settings:
    pool = PoolSettings(
        engine=EngineSettings(url=engine.url), models=("model",), lease_s=1.5, max_in_flight=4
    )
    return Settings(
        home=str(home),
        queue=valkey.url,
        streams=valkey.url,
        limits=LimitSettings(shared=valkey.url, default=limits),
        gateway=GatewaySettings(port=0),
        pools={"default": pool},
        reaper=ReaperSettings(every_s=0.2, accepted_grace_s=1.0),
    )


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncGenerator[str]:
    """A gateway at a URL."""
    async with open_gateway(settings) as opened, serving(opened.app) as url:
        yield url


@asynccontextmanager
async def working(settings: Settings) -> AsyncGenerator[None]:
    """A worker beside it."""
    async with open_worker(settings, "default", name="worker") as worker:
        worker.start()
        yield
        await worker.stop(grace_s=5)


async def submitted(client: Client, jobs: int) -> list[str]:
    return [await client.submit({"prompt": f"number {number}"}) for number in range(jobs)]


async def assert_each_ended_once(settings: Settings, client: Client, job_ids: list[str]) -> None:
    """Succeeded, with one audit entry, no charge but its own, and no message left."""
    ended = [await client.ended(job_id) for job_id in job_ids]
    assert [(job.status, job.attempts, job.text) for job in ended] == [
        (JobState.SUCCEEDED, 1, ANSWER)
    ] * len(job_ids)
    async with open_store(settings) as store:
        entries = [job.id async for job in store.audit.jobs(AuditQuery())]
        assert sorted(entries) == sorted(job_ids)
        for lane in lanes_of("default"):
            # A message is acknowledged after its job's end was told.
            while await store.queue.depth(lane) != Depth(0, 0, 0):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)


async def test_a_redis_that_is_killed_and_comes_back_costs_nothing(
    tmp_path: Path, engine: FakeEngine, own_valkey: Daemon
) -> None:
    settings = on_redis(tmp_path, engine, own_valkey, Limits())
    async with gateway(settings) as url, Client(url) as client:
        job_ids = await submitted(client, JOBS)
        async with working(settings):
            await client.ended(job_ids[0])
            own_valkey.crash()
            await asyncio.sleep(0.3)
            own_valkey.start()
            await assert_each_ended_once(settings, client, job_ids)


async def test_what_a_redis_lost_is_sent_again(
    tmp_path: Path, engine: FakeEngine, own_valkey: Daemon
) -> None:
    settings = on_redis(tmp_path, engine, own_valkey, Limits())
    async with gateway(settings) as url, Client(url) as client:
        job_ids = await submitted(client, JOBS)
        async with working(settings):
            await client.ended(job_ids[0])
            own_valkey.lose_everything()
            own_valkey.start()
            await assert_each_ended_once(settings, client, job_ids)


async def test_a_chat_is_streamed_through_redis(
    tmp_path: Path, engine: FakeEngine, valkey: Daemon
) -> None:
    settings = on_redis(tmp_path, engine, valkey, Limits())
    async with (
        gateway(settings) as url,
        working(settings),
        AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(
            model="model", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == ANSWER
    assert len([piece for piece in pieces if piece]) > 1


async def test_two_gateways_count_together(
    tmp_path: Path, engine: FakeEngine, valkey: Daemon
) -> None:
    # SPEC G6
    settings = on_redis(tmp_path, engine, valkey, Limits(requests_per_minute=3))
    async with gateway(settings) as one, gateway(settings) as other:
        refused = 0
        for url in (one, other, one, other, one):
            async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
                try:
                    await client.responses.create(model="model", input="hi", background=True)
                except RateLimitError:
                    refused += 1
        assert refused == 2
