"""The same is asked once: a gateway, a worker and an engine server, with each cache. SPEC C1."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from headpond.client import Client, RemoteJob
from headpond.domain.job import JobState
from headpond.services.keys import Keys
from headpond.settings import (
    CacheSettings,
    EngineSettings,
    GatewaySettings,
    PoolSettings,
    Settings,
)
from headpond.testing.engine_server import FakeEngine, Pace
from headpond.wiring.gateways import open_gateway
from headpond.wiring.stores import open_store
from headpond.wiring.workers import open_worker
from tests.chaos.processes import free_port
from tests.redis_server import Daemon
from tests.servers import serving

ASKED: dict[str, Any] = {"prompt": "hello", "temperature": 0, "logprobs": True, "max_tokens": 12}
ANSWER = "one two three"


@dataclass
class Stack:
    """The product at `url`, the engine behind it, and a key for each of two teams."""

    url: str
    engine: FakeEngine
    settings: Settings
    keys: list[str]

    async def asked(self, *bodies: dict[str, Any], key: int = 0) -> list[RemoteJob]:
        """The jobs of these bodies, handed in one after the other, once all have ended."""
        async with Client(self.url, api_key=self.keys[key]) as client:
            ids = [await client.submit(body) for body in bodies]
            jobs = [await client.ended(job_id) for job_id in ids]
        assert {(job.status, job.text, job.attempts) for job in jobs} == {
            (JobState.SUCCEEDED, ANSWER, 1)
        }
        return jobs


@asynccontextmanager
async def running(home: Path, cache: CacheSettings) -> AsyncGenerator[Stack]:
    pace = Pace(decode_s_per_token=0.05, crowding=0.0)
    async with FakeEngine(model="model", answer=ANSWER, pace=pace) as engine:
        pool = PoolSettings(engine=EngineSettings(url=engine.url), models=("model",))
        settings = Settings(
            home=str(home), cache=cache, gateway=GatewaySettings(port=0), pools={"default": pool}
        )
        async with open_store(settings) as store:
            keys = Keys(store.keys, store.clock)
            secrets = [(await keys.create(team)).secret for team in ("ours", "theirs")]
        async with (
            open_gateway(settings) as gateway,
            serving(gateway.app) as url,
            open_worker(settings, "default", name="worker") as worker,
        ):
            worker.start()
            yield Stack(url, engine, settings, secrets)
            await worker.stop(grace_s=5)


@pytest.fixture(params=["sqlite", "redis"])
async def url(request: pytest.FixtureRequest) -> str:
    """Where answers are remembered."""
    if request.param == "sqlite":
        return "sqlite:///cache.db"
    valkey: Daemon = request.getfixturevalue("valkey")
    return valkey.url


async def test_a_second_equal_request_costs_no_inference(tmp_path: Path, url: str) -> None:
    async with running(tmp_path, CacheSettings(url=url)) as stack:
        (first,) = await stack.asked(ASKED)
        (second,) = await stack.asked({**ASKED, "user": "me", "temperature": 0.0})
        assert stack.engine.requests == 1
        assert (first.cached, second.cached) == (False, True)
        assert (second.result, second.usage) == (first.result, first.usage)
        assert second.confidence == first.confidence is not None
        (third,) = await stack.asked(ASKED, key=1)
        assert (stack.engine.requests, third.cached) == (2, False)
        await stack.asked({**ASKED, "temperature": 1}, {**ASKED, "temperature": 1})
        assert stack.engine.requests == 4


async def test_many_equal_requests_at_once_are_one_inference(tmp_path: Path, url: str) -> None:
    async with running(tmp_path, CacheSettings(url=url)) as stack:
        jobs = await stack.asked(*[ASKED] * 50)
        assert stack.engine.requests == 1
        assert sum(job.cached for job in jobs) == 49


async def test_after_its_time_the_engine_is_asked_again(tmp_path: Path, url: str) -> None:
    async with running(tmp_path, CacheSettings(url=url, keep_s=0.3)) as stack:
        await stack.asked(ASKED)
        async with asyncio.timeout(30):
            while (await stack.asked(ASKED))[0].cached:
                pass
        assert stack.engine.requests == 2


async def streamed(client: AsyncOpenAI) -> list[str]:
    """What the pieces say."""
    stream = await client.chat.completions.create(
        model="model",
        messages=[{"role": "user", "content": "hello"}],
        temperature=0,
        stream=True,
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    return [piece for piece in pieces if piece]


async def test_a_chat_is_answered_and_streamed_from_memory(tmp_path: Path, url: str) -> None:
    async with (
        running(tmp_path, CacheSettings(url=url)) as stack,
        AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=stack.keys[0], max_retries=0) as client,
    ):
        told = await streamed(client)
        completion = await client.chat.completions.create(
            model="model", messages=[{"role": "user", "content": "hello"}], temperature=0
        )
        at_once = await streamed(client)
        assert stack.engine.requests == 1
        assert completion.choices[0].message.content == "".join(told) == ANSWER
        assert at_once == [ANSWER]


async def test_workers_share_what_they_remember_and_remember_it_later(
    tmp_path: Path, url: str
) -> None:
    async with running(tmp_path, CacheSettings(url=url)) as stack:
        await stack.asked(ASKED)
        engine, settings = stack.engine, stack.settings
        async with open_worker(settings, "default", name="other") as other:
            other.start()
            await stack.asked(*[ASKED] * 30)
            await other.stop(grace_s=5)
        assert engine.requests == 1


async def test_without_its_cache_the_product_works_on(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    async with running(tmp_path, CacheSettings(url=url)) as stack:
        await stack.asked(ASKED)
        (again,) = await stack.asked(ASKED)
        assert (stack.engine.requests, again.cached) == (2, False)


async def test_nothing_is_remembered_unless_the_settings_say_so(tmp_path: Path) -> None:
    async with running(tmp_path, CacheSettings()) as stack:
        await stack.asked(ASKED, ASKED)
        assert stack.engine.requests == 2
        assert not (tmp_path / "cache.db").exists()
