"""The official client against a real server: SPEC G2."""

import asyncio
from collections.abc import AsyncGenerator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.servers import Running

ASKED = "What is a headpond?"
SCHEMA: dict[str, object] = {"type": "object"}


@pytest.fixture
async def client(running: Running) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{running.url}/v1", api_key="unused") as client:
        yield client


async def chat(client: AsyncOpenAI, text: str, **headers: str) -> str | None:
    answer = await client.chat.completions.create(
        model="model",
        messages=[{"role": "user", "content": text}],
        temperature=0,
        extra_headers=headers,
    )
    return answer.choices[0].message.content


async def test_a_chat(client: AsyncOpenAI) -> None:
    assert await chat(client, ASKED) == f"echo: {ASKED}"


async def test_a_chat_of_the_synchronous_client(running: Running) -> None:
    def ask() -> str | None:
        with OpenAI(base_url=f"{running.url}/v1", api_key="unused") as client:
            answer = client.chat.completions.create(
                model="model", messages=[{"role": "user", "content": ASKED}]
            )
            return answer.choices[0].message.content

    assert await asyncio.to_thread(ask) == f"echo: {ASKED}"


async def test_a_chat_with_tools(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="model",
        messages=[{"role": "user", "content": "call"}],
        tools=[
            {
                "type": "function",
                "function": {"name": "weather", "parameters": {"type": "object"}},
            }
        ],
    )
    [call] = answer.choices[0].message.tool_calls or []

    assert call.type == "function"
    assert call.function.name == "weather"


async def test_a_chat_that_takes_too_long_is_not_sent_twice(
    running: Running, client: AsyncOpenAI
) -> None:  # SPEC G7
    running.engine.gate.clear()
    with pytest.raises(openai.InternalServerError) as raised:
        await chat(client, ASKED, **{"x-headpond-wait": "0"})

    assert raised.value.status_code == 504
    assert raised.value.code == "not_done_in_time"
    assert "/jobs/job_" in str(raised.value.body)
    assert len(running.stage.jobs._records) == 1


async def test_the_key_of_a_chat_that_took_too_long_leads_to_its_answer(
    running: Running, client: AsyncOpenAI
) -> None:
    running.engine.gate.clear()
    with pytest.raises(openai.InternalServerError):
        await chat(client, ASKED, **{"x-headpond-wait": "0", "Idempotency-Key": "k"})
    running.engine.gate.set()

    assert await chat(client, ASKED, **{"Idempotency-Key": "k"}) == f"echo: {ASKED}"
    assert len(running.stage.jobs._records) == 1


async def test_a_client_that_hangs_up_has_cancelled_nothing(
    running: Running, client: AsyncOpenAI
) -> None:
    running.engine.gate.clear()
    asking = asyncio.create_task(chat(client, ASKED))
    await running.engine.asked.wait()
    asking.cancel()
    running.engine.gate.set()
    [job] = running.stage.jobs._records.values()

    assert (await running.stage.parts.desk.ended(job, 10)).state == "succeeded"


async def test_a_request_that_the_engine_refuses(running: Running, client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await chat(client, "refuse")

    assert raised.value.code == "context_length_exceeded"
    assert len(running.stage.jobs._records) == 1


async def test_errors_are_of_the_classes_that_programs_expect(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "a"}]
        )
    with pytest.raises(openai.BadRequestError) as bad:
        await client.chat.completions.create(
            model="model", messages=[{"role": "user", "content": "a"}], temperature=3
        )
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert (bad.value.code, bad.value.param) == ("invalid_value", "temperature")
    assert bad.value.request_id


async def test_keys_are_checked(running: Running) -> None:
    secret = (await running.stage.keys.create("team")).secret
    async with (
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key="hp_wrong") as stranger,
        AsyncOpenAI(base_url=f"{running.url}/v1", api_key=secret) as friend,
    ):
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
        assert [model.id async for model in friend.models.list()] == ["model"]


async def test_models(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["model"]
    assert (await client.models.retrieve("model")).owned_by == "default"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("none")


async def test_a_response_in_the_foreground(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="model", instructions="Be brief.", input=ASKED, metadata={"a": "b"}
    )

    assert response.status == "completed"
    assert response.output_text == f"echo: {ASKED}"
    assert response.usage
    assert response.usage.total_tokens == 5
    assert response.metadata == {"a": "b"}


async def test_a_response_in_the_background(running: Running, client: AsyncOpenAI) -> None:
    running.engine.gate.clear()
    response = await client.responses.create(
        model="model", input=[{"role": "user", "content": ASKED}], background=True
    )
    assert response.status == "queued"

    running.engine.gate.set()
    while response.status in {"queued", "in_progress"}:
        response = await client.responses.retrieve(response.id)

    assert response.status == "completed"
    assert response.output_text == f"echo: {ASKED}"


async def test_a_response_is_cancelled(running: Running, client: AsyncOpenAI) -> None:
    running.engine.gate.clear()
    response = await client.responses.create(model="model", input=ASKED, background=True)

    assert (await client.responses.cancel(response.id)).status == "cancelled"
    assert (await client.responses.retrieve(response.id)).status == "cancelled"


async def test_a_response_with_tools_there_and_back(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="model",
        input="call",
        tools=[
            {
                "type": "function",
                "name": "weather",
                "parameters": {"type": "object"},
                "strict": None,
            }
        ],
        tool_choice={"type": "function", "name": "weather"},
    )
    [call] = response.output
    assert call.type == "function_call"

    answer = await client.responses.create(
        model="model",
        input=[
            {"role": "user", "content": "call"},
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
        ],
    )
    assert answer.output_text == "echo: rain"


async def test_a_failed_response_says_why(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="model", input="refuse")

    assert response.status == "failed"
    assert response.error
    assert response.error.code == "invalid_prompt"
    assert "context" in response.error.message


async def test_what_responses_cannot_do_is_refused_by_name(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.responses.create(model="model", input=ASKED, previous_response_id="resp_1")

    assert raised.value.param == "previous_response_id"
    assert raised.value.code == "unsupported_parameter"
