"""Whatever comes in, the answer is one that the document names, and never a 5xx."""

# pyright: basic
# Schemathesis' own types have parameters that it does not name.

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from headpond.adapters.local.clock import SystemClock
from headpond.gateway.app import _operations
from headpond.gateway.openapi import document
from headpond.settings import GatewaySettings
from tests.servers import Running, running_gateway
from tests.stages import Stage

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

FuzzedOperation: TypeAlias = Any
"""Schemathesis leaves the type's parameters open."""

GENEROUS = GatewaySettings(max_prompt_chars=10**6, max_output_tokens=2**31 - 1)


def no_server_error(ctx: object, response: Any, case: object) -> None:
    """None but the 504 that a client asks for when it waits no time; its job exists."""
    del ctx, case
    waits = response.status_code == 504 and "x-headpond-job-id" in response.headers
    assert response.status_code < 500 or waits


# Only what the JSON schemas cannot say is left out: that an id is unknown, that a deadline has
# passed, that a prompt is blank. Every other check of the tool is on.
CHECKS: list[Any] = [
    no_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.allow_header_conformance,
]


def generous() -> Stage:
    return Stage(settings=GENEROUS, catalogue={"default": []}, clock=SystemClock())


def operations() -> list[FuzzedOperation]:
    described = msgspec.json.decode(msgspec.json.encode(document(_operations(generous().parts))))
    found: Any = schemathesis.openapi.from_dict(described).get_all_operations()
    return [operation.ok() for operation in found]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server in a thread of its own, for the fuzzer's client blocks."""
    started: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running_gateway(generous()) as running:
            started.append(running.url)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    ready.wait()
    yield started[0]
    done.set()
    thread.join()


def fuzz(url: str, operation: FuzzedOperation, mode: GenerationMode) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
    @given(operation.as_strategy(generation_mode=mode))
    def keeps(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    keeps()


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_every_operation_keeps_the_document(url: str, operation: FuzzedOperation) -> None:
    fuzz(url, operation, GenerationMode.POSITIVE)


@pytest.mark.parametrize(
    "operation",
    [operation for operation in operations() if operation.body or operation.query],
    ids=lambda operation: operation.label,
)
def test_what_the_document_forbids_is_refused(url: str, operation: FuzzedOperation) -> None:
    fuzz(url, operation, GenerationMode.NEGATIVE)


async def answer_to(running: Running, *pieces: bytes) -> bytes:
    """The first answer that comes back for these bytes."""
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.readuntil(b"}}")
    writer.close()
    await writer.wait_closed()
    return answer


HEAD = b"POST /jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


async def test_a_body_that_is_announced_too_large_is_not_waited_for(running: Running) -> None:
    answer = await answer_to(running, HEAD + b"content-length: 1000000000000\r\n\r\n{")

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


async def test_a_body_that_grows_too_large_is_cut_off(running: Running) -> None:
    chunk = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
    answer = await answer_to(running, HEAD + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 5)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert await running.stage.empty()
