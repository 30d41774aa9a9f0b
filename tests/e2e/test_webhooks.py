"""Receivers of their own, verifiers of others, and processes that are killed. SPEC G3."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI
from openai.types.webhooks import BatchCompletedWebhookEvent
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from headpond.client import Client
from headpond.domain.job import Usage
from headpond.domain.webhook_event import EventId, EventType, event, job_event
from headpond.domain.webhook_signature import secret_of, signed_headers
from headpond.errors import Unavailable
from headpond.settings import WebhookSettings
from headpond.testing.http_server import Exchange, HttpServer
from headpond.testing.records import a_job
from tests.chaos.processes import free_port
from tests.command_line import Ended, Headpond
from tests.servers import Running

DOCS = Path(__file__).parents[2] / "docs" / "webhooks.md"


NETWORKS = {
    "HEADPOND_WEBHOOKS__ALLOW_HTTP": "true",
    "HEADPOND_WEBHOOKS__ALLOWED_NETWORKS": "[127.0.0.0/8]",
}


class Hook:
    """A receiver that answers with `status`, or not at all if that is None."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.got: asyncio.Queue[Exchange] = asyncio.Queue()
        self._server = HttpServer(self._handle)

    def _handle(self, exchange: Exchange) -> None:
        self.got.put_nowait(exchange)
        if self.status is not None:
            exchange.answer(self.status, b"")

    async def next(self) -> Exchange:
        return await asyncio.wait_for(self.got.get(), 40)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        await self._server.start()
        yield f"http://127.0.0.1:{self._server.port}/hook"
        await self._server.stop()


def verified(exchange: Exchange, secret: str) -> Any:
    """The event, as the standard's own package reads it."""
    return Webhook(secret).verify(exchange.body, dict(exchange.headers))


def batch_event() -> tuple[bytes, str, dict[str, str]]:
    """A body, its secret and its headers, as they are sent at this moment."""
    now = time.time()
    secret = secret_of(os.urandom(32))
    told = event(
        EventId("msg_1"),
        EventType.BATCH_COMPLETED,
        team="team",
        occurred_at=now,
        data={"id": "batch_1"},
    )
    body = told.body.encode()
    return body, secret, signed_headers(told.id, int(now), body, [secret])


def test_the_official_packages_verify_and_read_it() -> None:
    body, secret, headers = batch_event()
    assert Webhook(secret).verify(body, headers)["data"] == {"id": "batch_1"}
    client = AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:1/v1")
    unwrapped = client.webhooks.unwrap(body, headers, secret=secret)
    assert isinstance(unwrapped, BatchCompletedWebhookEvent)
    assert (unwrapped.id, unwrapped.data.id) == ("msg_1", "batch_1")


@pytest.mark.parametrize("forgery", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_what_was_forged_is_refused(forgery: str) -> None:
    body, secret, headers = batch_event()
    match forgery:
        case "body":
            body = body.replace(b"batch_1", b"batch_2")
        case "secret":
            secret = secret_of(os.urandom(32))
        case "webhook-id":
            headers["webhook-id"] = "msg_2"
        case _:
            headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


async def test_the_official_client_keeps_endpoints(running: Running) -> None:
    async with AsyncOpenAI(api_key="none", base_url=f"{running.url}/v1", max_retries=0) as client:
        hooks = client.webhooks
        made = await hooks.create(
            name="mine", url="https://example.com/hook", event_types=["batch.completed"]
        )
        assert made.signing_secret.startswith("whsec_")
        assert (await hooks.retrieve(made.id)).url == made.url
        assert [one.id async for one in hooks.list()] == [made.id]
        assert (await hooks.update(made.id, name="other")).name == "other"
        rotated = await hooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        assert rotated.signing_secret != made.signing_secret
        tested = await hooks.test(made.id, event_type="batch.completed")
        assert (tested.status_code, tested.success) == (200, True)
        assert "batch.completed" in (await hooks.event_types.list()).data
        ((_, headers, body),) = running.stage.receiver.posts
        old_and_new = [made.signing_secret, rotated.signing_secret]
    running_clock_headers = dict(headers)
    for secret in old_and_new:
        assert Webhook(secret).verify(body, running_clock_headers)["type"] == "batch.completed"
    async with AsyncOpenAI(api_key="none", base_url=f"{running.url}/v1", max_retries=0) as client:
        assert (await client.webhooks.delete(made.id)).deleted


def gateway_environ(home: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "HEADPOND_CONFIG": os.devnull,
        "HEADPOND_HOME": str(home),
        "HEADPOND_WEBHOOKS__TIMEOUT_S": "1",
        **NETWORKS,
        **more,
    }


@asynccontextmanager
async def gateway(
    home: Path, **more: str
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """The gateway's process and its URL."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headpond", "gateway", "--port", str(port)),
        env=gateway_environ(home, **more),
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def listening(url: str) -> None:
    """Once the gateway answers."""
    async with Client(url) as client:
        while True:
            try:
                await client.jobs()
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def cancelled_job(url: str, callback: str) -> str:
    """A job that has ended."""
    await listening(url)
    async with Client(url) as client:
        job_id = await client.submit({"prompt": "a", "callback": {"url": callback}})
        await client.cancel(job_id)
        return job_id


def secret_for(headpond: Headpond, endpoint: str, home: Path) -> str:
    """A new secret for the endpoint of the team without keys."""
    rotated = headpond(
        *("webhooks", "rotate", endpoint, "--team", "local", "--json"), HEADPOND_HOME=str(home)
    )
    return json.loads(rotated.out)["signing_secret"]


async def test_an_event_that_a_killed_gateway_was_sending_comes_again_under_its_id(
    tmp_path: Path, headpond: Headpond
) -> None:
    hook = Hook()
    hook.status = None
    secret = await asyncio.to_thread(secret_for, headpond, "callbacks", tmp_path)
    async with hook.running() as callback:
        async with gateway(tmp_path) as (process, url):
            job_id = await cancelled_job(url, callback)
            first = await hook.next()
            process.kill()
            await process.wait()
        hook.status = 200
        async with gateway(tmp_path) as (_, url):
            second = await hook.next()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    told = verified(second, secret)
    assert (told["type"], told["data"]["id"]) == ("job.cancelled", job_id)


async def test_an_event_that_nobody_began_to_send_is_sent_after_the_restart(
    tmp_path: Path, headpond: Headpond
) -> None:
    """The gateway is killed at once after the end of the job, before its sender looks again."""
    hook = Hook()
    secret = await asyncio.to_thread(secret_for, headpond, "callbacks", tmp_path)
    async with hook.running() as callback:
        async with gateway(tmp_path) as (process, url):
            job_id = await cancelled_job(url, callback)
            process.kill()
            await process.wait()
        async with gateway(tmp_path):
            told = verified(await hook.next(), secret)
    assert told["data"]["id"] == job_id


async def test_500_then_200_then_410(tmp_path: Path, headpond: Headpond) -> None:
    hook = Hook()
    home = {"HEADPOND_HOME": str(tmp_path), **NETWORKS}
    async with hook.running() as url:
        created = await asyncio.to_thread(
            headpond, "webhooks", "create", url, "--team", "local", "--json", **home
        )
        endpoint = json.loads(created.out)
        async with gateway(tmp_path, HEADPOND_WEBHOOKS__SCHEDULE_S="[0.1, 0.1]") as (_, at):
            hook.status = 500
            await cancelled_job(at, "https://callback.invalid/")
            first = await hook.next()
            hook.status = 200
            second = await hook.next()
            assert first.headers["webhook-id"] == second.headers["webhook-id"]
            assert first.headers["webhook-timestamp"] <= second.headers["webhook-timestamp"]
            verified(second, endpoint["signing_secret"])
            hook.status = 410
            await cancelled_job(at, "https://callback.invalid/")
            await hook.next()
            async with aiohttp.ClientSession() as session:
                while True:
                    async with session.get(f"{at}/v1/webhook_endpoints/{endpoint['id']}") as shown:
                        if (await shown.json())["status"] == "disabled":
                            break
                    await asyncio.sleep(0.05)


async def test_the_end_of_a_batch_is_told(tmp_path: Path, headpond: Headpond) -> None:
    hook = Hook()
    home = {"HEADPOND_HOME": str(tmp_path), **NETWORKS}
    async with hook.running() as url, gateway(tmp_path) as (_, at):
        created = await asyncio.to_thread(
            headpond, "webhooks", "create", url, "--team", "local", "--json", **home
        )
        await listening(at)
        async with AsyncOpenAI(api_key="none", base_url=f"{at}/v1", max_retries=0) as client:
            file = await client.files.create(file=("empty.jsonl", b""), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
            )
        told = verified(await hook.next(), json.loads(created.out)["signing_secret"])
    assert (told["type"], told["data"]) == ("batch.failed", {"id": batch.id})


def test_the_command_line_keeps_endpoints(headpond: Headpond) -> None:
    team = ("--team", "shop")
    created = headpond("webhooks", "create", "https://example.com/hook", *team, "--name", "x")
    secret, *aside = created.out.splitlines()
    assert secret.startswith("whsec_")
    endpoint = aside[-1].split()[-1].rstrip(".")
    (listed,) = json.loads(headpond("webhooks", "list", *team, "--json").out)
    assert (listed["id"], listed["name"]) == (endpoint, "x")
    assert endpoint in headpond("webhooks", "list", *team).out
    assert headpond("webhooks", "rotate", endpoint, *team, "--now").out.startswith("whsec_")
    assert headpond("webhooks", "rotate", "callbacks", *team).out.startswith("whsec_")
    changed = headpond("webhooks", "update", endpoint, *team, "--event", "job.dead", "--json")
    assert json.loads(changed.out)["event_types"] == ["job.dead"]
    assert "is enabled" in headpond("webhooks", "update", endpoint, *team).out
    assert "status" in headpond("webhooks", "deliveries", endpoint, *team).out
    assert json.loads(headpond("webhooks", "deliveries", endpoint, *team, "--json").out) == []
    assert headpond("webhooks", "redeliver", endpoint, *team).out == "0 pending again.\n"
    assert json.loads(headpond("webhooks", "redeliver", endpoint, *team, "--json").out) == {
        "count": 0
    }
    assert headpond("webhooks", "delete", endpoint, *team).status == 0
    gone = headpond("webhooks", "delete", endpoint, *team, "--json")
    assert (gone.status, "no webhook endpoint" in gone.err) == (2, True)
    refused = headpond("webhooks", "create", "https://127.0.0.1/", *team)
    assert (refused.status, "not a public address" in refused.err) == (2, True)


async def test_a_sample_goes_from_the_command_line(headpond: Headpond) -> None:
    hook = Hook()
    team = ("--team", "shop")

    def send(url: str) -> tuple[list[str], Ended]:
        created = headpond("webhooks", "create", url, *team, "--json", **NETWORKS)
        endpoint = json.loads(created.out)["id"]
        told = [
            headpond("webhooks", "test", endpoint, *team, **NETWORKS).out,
            headpond("webhooks", "test", endpoint, *team, "--json", **NETWORKS).out,
            headpond("webhooks", "test", endpoint, *team).err,
        ]
        hook.status = 410
        refused = headpond("webhooks", "test", endpoint, *team, **NETWORKS)
        return [*told, headpond("webhooks", "delete", endpoint, *team, "--json").out], refused

    async with hook.running() as url:
        (text, as_json, not_allowed, deleted), refused = await asyncio.to_thread(send, url)
    assert (refused.status, refused.out) == (1, "It answered 410.\n")
    assert text == "It answered 200.\n"
    assert json.loads(as_json) == {"status_code": 200}
    assert "https://" in not_allowed
    assert json.loads(deleted)["deleted"]


def test_the_page_tells_every_type_and_its_python_verifies() -> None:
    page = DOCS.read_text()
    assert set(re.findall(r"^\| `([a-z.]+)` \|", page, re.MULTILINE)) == set(EventType)
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    documented = json.loads(example)
    job = a_job(metadata={"order": "17"}).claimed("w", 1.0)
    told = json.loads(job_event(job.succeeded(2.0, engine="e", usage=Usage(30, 2))).body)
    assert documented.keys() == told.keys()
    assert documented["data"].keys() == told["data"].keys()
    assert documented["data"]["usage"].keys() == told["data"]["usage"].keys()
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    body, secret, headers = batch_event()
    names: dict[str, Any] = {"body": body, "secret": secret, "headers": headers}
    exec(python, names)  # noqa: S102 - the page's own lines
    assert names["event"]["type"] == "batch.completed"


def test_the_page_tells_the_schedule() -> None:
    told = re.search(r"comes after\n(.*?) \(`webhooks.schedule_s`", DOCS.read_text(), re.DOTALL)
    assert told is not None
    units = {"s": 1, "min": 60, "h": 3600}
    found = re.findall(r"(\d+) (s|min|h)", told[1])
    assert [int(number) * units[unit] for number, unit in found] == list(
        WebhookSettings().schedule_s
    )
