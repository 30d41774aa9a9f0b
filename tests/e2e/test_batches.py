"""Files and batches, driven by the official client against a real server: SPEC G2."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Batch

from tests.servers import Running

CHAT = "/v1/chat/completions"


@pytest.fixture
async def client(running: Running) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused") as client:
        yield client


def chat_line(custom_id: str, text: str = "hello", **more: object) -> dict[str, object]:
    body = {"model": "model", "messages": [{"role": "user", "content": text}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: Sequence[Mapping[str, object]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def upload(client: AsyncOpenAI, content: bytes) -> str:
    file = await client.files.create(file=("input.jsonl", content), purpose="batch")
    return file.id


async def create(client: AsyncOpenAI, content: bytes, **more: Any) -> Batch:
    given: dict[str, Any] = {"endpoint": CHAT, "completion_window": "24h"} | more
    return await client.batches.create(input_file_id=await upload(client, content), **given)


async def ended(client: AsyncOpenAI, batch_id: str) -> Batch:
    while True:
        batch = await client.batches.retrieve(batch_id)
        if batch.status in {"failed", "completed", "expired", "cancelled"}:
            return batch
        await asyncio.sleep(0.01)


async def results(client: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    text = (await client.files.content(file_id)).text
    return [json.loads(line) for line in text.splitlines()]


async def test_the_whole_life_of_a_batch(client: AsyncOpenAI) -> None:
    lines = [chat_line(f"line-{n}", f"number {n}") for n in range(5)]
    batch = await create(client, jsonl(lines), metadata={"night": "1"})
    assert batch.status == "validating"
    assert batch.expires_at == batch.created_at + 86_400

    batch = await ended(client, batch.id)

    assert batch.status == "completed"
    assert batch.error_file_id is None
    assert batch.errors is None
    assert batch.model == "model"
    assert batch.metadata == {"night": "1"}
    assert batch.request_counts
    assert batch.request_counts.model_dump() == {"total": 5, "completed": 5, "failed": 0}
    assert batch.usage
    assert batch.usage.total_tokens == 25
    times = (batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at)
    assert None not in times
    assert list(times) == sorted(time for time in times if time)
    found = await results(client, batch.output_file_id)
    assert [line["custom_id"] for line in found] == [f"line-{n}" for n in range(5)]
    assert [line["error"] for line in found] == [None] * 5
    assert {line["response"]["status_code"] for line in found} == {200}
    texts = [line["response"]["body"]["choices"][0]["message"]["content"] for line in found]
    assert texts == [f"echo: number {n}" for n in range(5)]


async def test_a_batch_of_responses(client: AsyncOpenAI) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses"}
    content = jsonl([line | {"body": {"model": "model", "input": "hello"}}])
    batch = await ended(client, (await create(client, content, endpoint="/v1/responses")).id)

    [found] = await results(client, batch.output_file_id)
    assert found["response"]["body"]["object"] == "response"
    assert found["response"]["body"]["output"][0]["content"][0]["text"] == "echo: hello"
    assert found["id"].startswith("batch_req_")


async def test_requests_that_the_engine_refuses_are_in_the_error_file(client: AsyncOpenAI) -> None:
    content = jsonl([chat_line("good"), chat_line("bad", "refuse")])
    batch = await ended(client, (await create(client, content)).id)

    assert batch.status == "completed"
    assert batch.request_counts
    assert batch.request_counts.model_dump() == {"total": 2, "completed": 1, "failed": 1}
    assert [line["custom_id"] for line in await results(client, batch.output_file_id)] == ["good"]
    [bad] = await results(client, batch.error_file_id)
    assert bad["custom_id"] == "bad"
    assert bad["response"]["status_code"] == 400
    assert bad["response"]["body"]["error"]["code"] == "context_length_exceeded"


async def test_bad_lines_fail_the_batch_and_are_told_by_number(
    running: Running, client: AsyncOpenAI
) -> None:
    lines = [
        json.dumps(chat_line("good")),
        "",
        "no json",
        json.dumps(chat_line("good")),
        json.dumps(chat_line("hot", temperature=3)),
        json.dumps(chat_line("other") | {"url": "/v1/embeddings"}),
        json.dumps(chat_line("who", model="gpt-5")),
        json.dumps(chat_line("streamed", stream=True)),
        json.dumps({"custom_id": "empty"}),
    ]
    batch = await ended(client, (await create(client, "\n".join(lines).encode())).id)

    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors
    faults = [(error.line, error.code, error.param) for error in batch.errors.data or []]
    assert faults == [
        (3, "invalid_json", None),
        (4, "duplicate_custom_id", "custom_id"),
        (6, "mismatched_url", "url"),
        (7, "model_not_found", "model"),
        (9, "missing_required_parameter", "method"),
    ]
    assert not running.stage.jobs._records


@pytest.mark.parametrize("content", [b"", b"\n \n"])
async def test_a_file_without_requests(client: AsyncOpenAI, content: bytes) -> None:
    batch = await ended(client, (await create(client, content)).id)

    assert batch.status == "failed"
    assert batch.errors
    assert [error.code for error in batch.errors.data or []] == ["empty_file"]


async def test_a_batch_that_is_cancelled_keeps_what_is_done(
    running: Running, client: AsyncOpenAI
) -> None:
    first = await ended(client, (await create(client, jsonl([chat_line("a")]))).id)
    assert first.status == "completed"
    running.engine.asked.clear()
    running.engine.gate.clear()
    content = jsonl([chat_line(f"{n}") for n in range(20)])
    batch = await create(client, content)
    await running.engine.asked.wait()

    assert (await client.batches.cancel(batch.id)).status == "cancelling"
    batch = await ended(client, batch.id)

    assert batch.status == "cancelled"
    assert batch.cancelling_at is not None
    assert batch.cancelled_at is not None
    lost = await results(client, batch.error_file_id)
    assert {line["error"]["code"] for line in lost} == {"batch_cancelled"}
    assert len(lost) == 20
    assert (await client.batches.cancel(batch.id)).status == "cancelled"
    with pytest.raises(openai.BadRequestError) as raised:
        await client.batches.cancel(first.id)
    assert raised.value.code == "batch_already_ended"


async def test_a_window_that_closes_keeps_what_is_done(
    running: Running, client: AsyncOpenAI
) -> None:
    running.engine.gate.clear()
    batch = await create(client, jsonl([chat_line("late")]), completion_window="1s")
    batch = await ended(client, batch.id)

    assert batch.status == "expired"
    assert batch.expired_at is not None
    [late] = await results(client, batch.error_file_id)
    assert late["response"] is None
    assert late["error"]["code"] == "batch_expired"


async def test_batches_are_listed_in_pages(client: AsyncOpenAI) -> None:
    made = [(await create(client, jsonl([chat_line("a")]))).id for _ in range(3)]

    assert [batch.id async for batch in client.batches.list(limit=2)] == made[::-1]
    assert (await client.batches.list(limit=2)).has_more
    assert [batch.id async for batch in client.batches.list(after=made[1])] == [made[0]]


async def test_files_are_listed_read_and_deleted(client: AsyncOpenAI) -> None:
    batch = await ended(client, (await create(client, jsonl([chat_line("a")]))).id)
    other = await client.files.create(
        file=("ünïcode.jsonl", b"{}"),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3_600},
    )

    assert other.filename == "ünïcode.jsonl"
    assert other.expires_at == other.created_at + 3_600
    assert other.bytes == 2
    names = [file.id async for file in client.files.list(order="asc", limit=1)]
    assert names == [batch.input_file_id, batch.output_file_id, other.id]
    made = [file async for file in client.files.list(purpose="batch_output")]
    assert [(file.id, file.purpose) for file in made] == [(batch.output_file_id, "batch_output")]
    assert made[0].filename == f"{batch.id}_output.jsonl"
    assert (await client.files.retrieve(other.id)).id == other.id
    assert (await client.files.delete(other.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.content(other.id)


async def test_the_input_of_an_open_batch_cannot_be_deleted(
    running: Running, client: AsyncOpenAI
) -> None:
    running.engine.gate.clear()
    batch = await create(client, jsonl([chat_line("a")]))
    with pytest.raises(openai.ConflictError) as raised:
        await client.files.delete(batch.input_file_id)

    assert raised.value.code == "file_in_use"


async def test_the_output_expires_when_its_owner_said(client: AsyncOpenAI) -> None:
    batch = await create(
        client,
        jsonl([chat_line("a")]),
        output_expires_after={"anchor": "created_at", "seconds": 7_200},
    )
    batch = await ended(client, batch.id)

    assert batch.output_file_id is not None
    output = await client.files.retrieve(batch.output_file_id)
    assert output.expires_at == output.created_at + 7_200


async def test_other_purposes_are_refused_by_name(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.files.create(file=b"{}", purpose="fine-tune")

    assert raised.value.param == "purpose"
