"""Everything that can end is heard of at a real receiver, and the official packages read it.

SPEC G3.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types import webhooks as classes
from standardwebhooks import Webhook

from headpond.client import Client
from headpond.domain.webhook_event import EventType
from headpond.testing.engine_server import FakeEngine, Fault, Hang, Status
from headpond.testing.http_server import Exchange
from tests.chaos.processes import free_port
from tests.e2e.test_batches import CHAT, chat_line, jsonl
from tests.e2e.test_webhooks import Hook, listening

CONFIG = """
home: {home}
gateway: {{port: {port}}}
pools:
  default:
    engine: {{url: '{engine}'}}
    models: [model]
    retry: {{max_attempts: 1, max_lost_leases: 1, first_delay_s: 0.1, not_now_s: 0.1}}
batches: {{every_s: 0.1}}
reaper: {{every_s: 0.2}}
webhooks: {{allow_http: true, allowed_networks: [127.0.0.0/8]}}
log: {{level: warning}}
"""

CUT_SHORT = (
    b'{"choices": [{"index": 0, "finish_reason": "length",'
    b' "message": {"role": "assistant", "content": "and then"}}]}'
)

OPENAIS: dict[EventType, type] = {
    EventType.BATCH_COMPLETED: classes.BatchCompletedWebhookEvent,
    EventType.BATCH_FAILED: classes.BatchFailedWebhookEvent,
    EventType.BATCH_EXPIRED: classes.BatchExpiredWebhookEvent,
    EventType.BATCH_CANCELLED: classes.BatchCancelledWebhookEvent,
    EventType.RESPONSE_COMPLETED: classes.ResponseCompletedWebhookEvent,
    EventType.RESPONSE_INCOMPLETE: classes.ResponseIncompleteWebhookEvent,
    EventType.RESPONSE_FAILED: classes.ResponseFailedWebhookEvent,
    EventType.RESPONSE_CANCELLED: classes.ResponseCancelledWebhookEvent,
}


class Pond:
    """Gateway and worker as processes, with an engine and a receiver in the test's own loop."""

    def __init__(
        self, openai: AsyncOpenAI, client: Client, engine: FakeEngine, hook: Hook, secret: str
    ) -> None:
        self.openai = openai
        self.client = client
        self._engine = engine
        self._hook = hook
        self._secret = secret
        self._known: set[EventType] = set()

    def behave(self, fault: Fault | None) -> None:
        self._engine.fault = fault

    async def heard(self, *types: EventType) -> dict[EventType, tuple[Any, Exchange]]:
        """These events, verified, in whichever order they come; some of before may come too."""
        self._known |= set(types)
        found: dict[EventType, tuple[Any, Exchange]] = {}
        while not found.keys() >= set(types):
            exchange = await self._hook.next()
            event = Webhook(self._secret).verify(exchange.body, dict(exchange.headers))
            assert event["type"] in self._known, event
            found[EventType(event["type"])] = event, exchange
        return found

    def unwrapped(self, exchange: Exchange) -> Any:
        headers = dict(exchange.headers)
        return self.openai.webhooks.unwrap(exchange.body, headers, secret=self._secret)

    async def batch(self, window: str = "24h", content: bytes | None = None) -> str:
        lines = jsonl([chat_line("a"), chat_line("b")]) if content is None else content
        file = await self.openai.files.create(file=("in.jsonl", lines), purpose="batch")
        made = await self.openai.batches.create(
            input_file_id=file.id,
            endpoint=CHAT,
            completion_window=window,  # pyright: ignore[reportArgumentType] - any span here
        )
        return made.id

    async def response(self) -> str:
        made = await self.openai.responses.create(model="model", input="hello", background=True)
        return made.id


@asynccontextmanager
async def process(*arguments: str) -> AsyncGenerator[None]:
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", "headpond", *arguments)
    try:
        yield
    finally:
        running.kill()
        await running.wait()


@pytest.fixture
async def pond(tmp_path: Path) -> AsyncGenerator[Pond]:
    hook, port = Hook(), free_port()
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(FakeEngine(model="model"))
        receiver = await stack.enter_async_context(hook.running())
        config = tmp_path / "headpond.yaml"
        config.write_text(CONFIG.format(home=tmp_path, port=port, engine=engine.url))
        for part in ("gateway", "worker"):
            await stack.enter_async_context(process(part, "--config", str(config)))
        await listening(url)
        client = AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
        await stack.enter_async_context(client)
        made = await client.webhooks.create(
            name="all",
            url=receiver,
            # Theirs know no events of jobs.
            event_types=[kind.value for kind in EventType],  # pyright: ignore[reportArgumentType]
        )
        pond = Pond(client, Client(url), engine, hook, made.signing_secret)
        await stack.enter_async_context(pond.client)
        yield pond


Ending = Callable[[Pond], Awaitable[str]]


async def succeed(pond: Pond) -> str:
    return await pond.client.submit({"prompt": "a"})


async def refuse(pond: Pond) -> str:
    pond.behave(Status(400))
    return await pond.client.submit({"prompt": "a"})


async def die(pond: Pond) -> str:
    pond.behave(Status(500))
    return await pond.client.submit({"prompt": "a"})


async def expire(pond: Pond) -> str:
    pond.behave(Hang())
    return await pond.client.submit({"prompt": "a", "expires_in": 0.3, "best_effort": True})


async def cancel(pond: Pond) -> str:
    pond.behave(Hang())
    job_id = await pond.client.submit({"prompt": "a"})
    await pond.client.cancel(job_id)
    return job_id


JOBS: dict[EventType, Ending] = {
    EventType.JOB_SUCCEEDED: succeed,
    EventType.JOB_FAILED: refuse,
    EventType.JOB_DEAD: die,
    EventType.JOB_EXPIRED: expire,
    EventType.JOB_CANCELLED: cancel,
}


async def test_every_end_of_a_job_is_heard_of(pond: Pond) -> None:
    for kind, ending in JOBS.items():
        pond.behave(None)
        job_id = await ending(pond)
        event, exchange = (await pond.heard(kind))[kind]
        assert event["data"]["id"] == job_id
        assert event["data"]["status"] == kind.partition(".")[2]
        # Their client has no class for these: it takes its first one, with every field as it came.
        unwrapped = pond.unwrapped(exchange)
        assert (unwrapped.type, unwrapped.data.id) == (kind, job_id)


async def test_every_end_of_a_response_is_heard_of_in_the_official_clients_classes(
    pond: Pond,
) -> None:
    async def ended(kind: EventType, job_kind: EventType, response_id: str) -> None:
        event, exchange = (await pond.heard(kind, job_kind))[kind]
        assert event["data"] == {"id": response_id}
        unwrapped = pond.unwrapped(exchange)
        assert isinstance(unwrapped, OPENAIS[kind])
        shown = await pond.openai.responses.retrieve(response_id)
        assert f"response.{shown.status}" == kind

    await ended(EventType.RESPONSE_COMPLETED, EventType.JOB_SUCCEEDED, await pond.response())
    pond.behave(Status(200, body=CUT_SHORT))
    await ended(EventType.RESPONSE_INCOMPLETE, EventType.JOB_SUCCEEDED, await pond.response())
    pond.behave(Status(400))
    await ended(EventType.RESPONSE_FAILED, EventType.JOB_FAILED, await pond.response())
    pond.behave(Hang())
    cancelled = await pond.response()
    await pond.openai.responses.cancel(cancelled)
    await ended(EventType.RESPONSE_CANCELLED, EventType.JOB_CANCELLED, cancelled)


async def test_every_end_of_a_batch_is_heard_of_in_the_official_clients_classes(
    pond: Pond,
) -> None:
    async def ended(kind: EventType, batch_id: str, *lines: EventType) -> None:
        event, exchange = (await pond.heard(kind, *lines))[kind]
        assert event["data"] == {"id": batch_id}
        unwrapped = pond.unwrapped(exchange)
        assert isinstance(unwrapped, OPENAIS[kind])
        assert f"batch.{(await pond.openai.batches.retrieve(batch_id)).status}" == kind

    await ended(EventType.BATCH_COMPLETED, await pond.batch(), EventType.JOB_SUCCEEDED)
    await ended(EventType.BATCH_FAILED, await pond.batch(content=b""))
    pond.behave(Hang())
    await ended(EventType.BATCH_EXPIRED, await pond.batch("1s"), EventType.JOB_EXPIRED)
    cancelled = await pond.batch()
    # It runs in another process: nothing here would say when it begins.
    while (await pond.openai.batches.retrieve(cancelled)).status != "in_progress":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await pond.openai.batches.cancel(cancelled)
    await ended(EventType.BATCH_CANCELLED, cancelled, EventType.JOB_CANCELLED)


def test_no_event_is_left_out() -> None:
    assert {*JOBS, *OPENAIS} == set(EventType)
