"""An engine's stream: the same outcomes as without, and the pieces on the way."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
import pytest

from headpond.adapters.openai import engine as engine_module
from headpond.adapters.openai.engine import OpenAIEngine
from headpond.domain.deltas import Choices, text_of
from headpond.domain.outcome import Answered, Broke, Died, NotNow, Outcome, Refused
from headpond.testing.engine_server import BreakOff, Drop, FakeEngine, Fault, Hang, Pace, Status
from headpond.testing.http_server import Exchange
from tests.unit.adapters.openai.test_engine import engine_at, http_server

ANSWER = "Über 😀 the lazy dog"
REQUEST = b'{"messages":[],"logprobs":true}'
DEEP = b'{"choices":[{"index":0,"delta":' + b'{"x":' * 600 + b"1" + b"}" * 600 + b"}]}"


@pytest.fixture
async def server() -> AsyncGenerator[FakeEngine]:
    async with FakeEngine(answer=ANSWER) as fake:
        yield fake


@pytest.fixture
async def engine(server: FakeEngine) -> AsyncGenerator[OpenAIEngine]:
    async with engine_at(server.url) as engine:
        yield engine


async def ask(engine: OpenAIEngine, request: bytes = REQUEST) -> tuple[Outcome, list[Choices]]:
    pieces: list[Choices] = []
    return await engine.stream("fake", request, pieces.append), pieces


async def stream_of(*events: bytes) -> tuple[Outcome, list[Choices]]:
    """What a server that sends these events means."""

    def handle(exchange: Exchange) -> None:
        if exchange.path == "/health":
            exchange.answer(200, b"")
            return
        exchange.begin(200, "text/event-stream")
        for event in events:
            exchange.send(event)
        exchange.end()

    async with http_server(handle) as url, engine_at(url) as engine:
        return await ask(engine)


async def test_the_outcome_is_that_of_a_whole_answer(engine: OpenAIEngine) -> None:  # SPEC G4
    outcome, pieces = await ask(engine)
    plain = await engine.complete("fake", REQUEST)
    assert isinstance(outcome, Answered)
    assert isinstance(plain, Answered)
    streamed, whole = msgspec.json.decode(outcome.response), msgspec.json.decode(plain.response)
    assert streamed["choices"] == whole["choices"]
    assert streamed.keys() == whole.keys()
    assert streamed["object"] == "chat.completion"
    assert outcome.confidence == plain.confidence
    assert outcome.usage.completion_tokens == plain.usage.completion_tokens
    assert "".join(map(text_of, pieces)) == ANSWER


async def test_the_engine_is_asked_for_usage(engine: OpenAIEngine, server: FakeEngine) -> None:
    await ask(engine)
    asked = msgspec.json.decode(server.bodies[-1])
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})
    assert asked["logprobs"]


async def test_a_connection_serves_one_stream_after_the_other(
    engine: OpenAIEngine, server: FakeEngine
) -> None:
    for _ in range(3):
        assert isinstance((await ask(engine))[0], Answered)
    assert server.answered == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Status(400, "bad"), Refused),
        (Status(503), NotNow),
        (Status(500), Broke),
        (Drop(), Died),
        (BreakOff(0), Died),
        (BreakOff(2), Died),
        (BreakOff(2, b'{"error":{"message":"no","code":500}}'), Broke),
        (BreakOff(2, b'{"error":{"message":"too long","code":400}}'), Refused),
        (BreakOff(2, b'{"error":{"message":"full","code":503}}'), NotNow),
        (BreakOff(2, b'{"error":"no"}'), Broke),
        (BreakOff(2, b"no JSON"), Broke),
        (BreakOff(2, b'{"choices":[{"delta":3}]}'), Broke),
        (BreakOff(2, b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}'), Broke),
        (BreakOff(2, DEEP), Broke),
    ],
)
async def test_each_failure_means_what_it_would_without_a_stream(
    engine: OpenAIEngine, server: FakeEngine, fault: Fault, kind: type
) -> None:
    server.next_faults.append(fault)
    outcome, _ = await ask(engine)
    assert isinstance(outcome, kind), outcome
    assert server.requests == 1


async def test_what_came_before_a_stream_broke_off_was_told(
    engine: OpenAIEngine, server: FakeEngine
) -> None:
    server.next_faults.append(BreakOff(2))
    _, pieces = await ask(engine)
    assert "".join(map(text_of, pieces)) == "Über 😀"


async def test_a_stream_without_done_was_cut() -> None:
    told = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    assert isinstance((await stream_of(told))[0], Died)
    assert isinstance((await stream_of(told, b"data: [DONE]\n\n"))[0], Answered)


async def test_a_stream_without_choices_is_no_answer() -> None:
    outcome, pieces = await stream_of(b'data: {"choices":[]}\n\ndata: [DONE]\n\nmore')
    assert isinstance(outcome, Broke)
    assert pieces == []


async def test_a_server_that_does_not_stream_answers_whole() -> None:
    def handle(exchange: Exchange) -> None:
        exchange.answer(200, b'{"choices":[{"message":{"content":"hi"}}]}')

    async with http_server(handle) as url, engine_at(url) as engine:
        outcome, pieces = await ask(engine)
    assert isinstance(outcome, Answered)
    assert pieces == []


async def test_an_endless_stream_is_cut(
    engine: OpenAIEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MAX_RESPONSE_BYTES", 500)
    outcome, _ = await ask(engine)
    assert isinstance(outcome, Broke)


async def test_a_stream_that_takes_too_long_is_cut(server: FakeEngine) -> None:
    server.fault = Hang()
    async with engine_at(server.url, timeout_s=0.05) as engine:
        assert isinstance((await ask(engine))[0], Broke)


async def test_a_cancelled_stream_is_aborted_at_the_engine() -> None:
    async with (
        FakeEngine(answer="a b", pace=Pace(decode_s_per_token=60)) as server,
        engine_at(server.url) as engine,
    ):
        asking = asyncio.create_task(ask(engine))
        await server.until(lambda: server.running == 1)
        asking.cancel()
        await server.until(lambda: server.aborted == 1 and server.running == 0)
