import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from headpond.adapters.openai import engine as engine_module
from headpond.adapters.openai.engine import OpenAIEngine
from headpond.adapters.openai.silence import TELL_AFTER_S
from headpond.domain.outcome import Answered, Broke, Died, Misconfigured, NotNow, Outcome, Refused
from headpond.ports.engine import Gauges
from headpond.testing.engine_server import (
    GARBAGE,
    Cut,
    Drop,
    FakeEngine,
    Fault,
    Hang,
    Pace,
    Status,
)
from headpond.testing.http_server import Exchange, Handler, HttpServer

REQUEST = b'{"messages":[{"role":"user","content":"hello"}], "temperature": 1e0}'


@asynccontextmanager
async def engine_at(
    url: str, *, api_key: str | None = None, timeout_s: float = 30.0, max_connections: int = 64
) -> AsyncGenerator[OpenAIEngine]:
    engine = OpenAIEngine(
        "one", url, api_key=api_key, timeout_s=timeout_s, max_connections=max_connections
    )
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def http_server(handle: Handler) -> AsyncGenerator[str]:
    server = HttpServer(handle)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


@pytest.fixture
async def server() -> AsyncGenerator[FakeEngine]:
    async with FakeEngine() as fake:
        yield fake


@pytest.fixture
async def engine(server: FakeEngine) -> AsyncGenerator[OpenAIEngine]:
    async with engine_at(server.url) as engine:
        yield engine


async def ask(engine: OpenAIEngine) -> Outcome:
    return await engine.complete("fake", REQUEST)


async def test_an_answer(engine: OpenAIEngine):
    outcome = await ask(engine)
    assert isinstance(outcome, Answered)
    assert b'"content":"Yes"' in outcome.response
    assert outcome.usage.completion_tokens == 1
    assert outcome.confidence is None


async def test_parameters_reach_the_engine_unharmed(engine: OpenAIEngine, server: FakeEngine):
    await ask(engine)
    assert server.bodies[-1] == b'{"model":"fake",' + REQUEST[1:]


async def test_log_probabilities_become_a_confidence(engine: OpenAIEngine):
    outcome = await engine.complete("fake", b'{"messages":[],"logprobs":true}')
    assert isinstance(outcome, Answered)
    assert outcome.confidence == pytest.approx(0.990, abs=1e-3)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_base_url_may_end_in_v1(server: FakeEngine, suffix: str):
    async with engine_at(server.url + suffix) as engine:
        assert isinstance(await ask(engine), Answered)
        assert await engine.healthy()


async def test_the_key_goes_along():
    async with (
        FakeEngine(api_key="secret") as locked,
        engine_at(locked.url, api_key="secret") as right,
        engine_at(locked.url) as wrong,
    ):
        assert isinstance(await ask(right), Answered)
        assert isinstance(await ask(wrong), Misconfigured)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Status(400, "bad"), Refused),
        (Status(429), NotNow),
        (Status(503), NotNow),
        (Status(500), Broke),
        (GARBAGE, Broke),
        (Drop(), Died),
        (Cut(), Died),
    ],
)
async def test_each_failure_means_something(
    engine: OpenAIEngine, server: FakeEngine, fault: Fault, kind: type
):
    server.next_faults.append(fault)
    assert isinstance(await ask(engine), kind)
    assert server.requests == 1, "an engine is not asked twice for one call"
    assert isinstance(await ask(engine), Answered), "and the next request is none the worse"


async def test_the_engine_says_when_to_come_back(engine: OpenAIEngine, server: FakeEngine):
    server.fault = Status(503, "full", retry_after="7")
    assert await ask(engine) == NotNow("HTTP 503: full", 7.0)


async def test_a_dying_engines_500_charges_no_attempt(engine: OpenAIEngine, server: FakeEngine):
    server.fault = Status(500, "EngineCore encountered an issue.")
    server.healthy = False
    assert isinstance(await ask(engine), Died)


async def test_a_sick_engine_that_does_not_answer_charges_no_attempt(server: FakeEngine):
    server.fault = Hang()
    server.healthy = False
    async with engine_at(server.url, timeout_s=0.01) as engine:
        assert isinstance(await ask(engine), Died)


async def test_nobody_there_is_nobodys_fault(engine: OpenAIEngine, server: FakeEngine):
    await server.die()
    assert isinstance(await ask(engine), NotNow)
    assert not await engine.healthy()
    assert await engine.models() == []
    assert await engine.gauges() == Gauges()
    await server.start()
    assert isinstance(await ask(engine), Answered)


async def test_an_unknown_host_is_nobodys_fault():
    async with engine_at("http://engine.invalid:1") as engine:
        assert isinstance(await ask(engine), NotNow)


async def test_a_host_that_does_not_take_the_connection_is_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch,
):
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(engine_module, "CONNECT_TIMEOUT_S", 0.001)
    monkeypatch.setattr("aiohappyeyeballs.start_connection", never)
    async with engine_at("http://127.0.0.1:1") as engine:
        outcome = await ask(engine)
    assert isinstance(outcome, NotNow)
    assert outcome.reason == "The engine cannot be reached."


async def test_an_engine_that_dies_with_requests_in_flight_charges_nobody(
    engine: OpenAIEngine, server: FakeEngine
):
    server.fault = Hang()
    asked = [asyncio.create_task(ask(engine)) for _ in range(8)]
    await server.until(lambda: server.requests == 8)
    await server.die()
    assert all(isinstance(outcome, Died) for outcome in await asyncio.gather(*asked))


async def test_no_answer_in_time_is_the_requests_own(server: FakeEngine):
    server.fault = Hang()
    async with engine_at(server.url, timeout_s=1.0) as engine:
        outcome = await ask(engine)
        assert isinstance(outcome, Broke)
        assert outcome.code == "engine_timeout"
        await server.until(lambda: server.aborted == 1)


async def test_a_cancelled_call_aborts_the_request_at_the_engine():
    pace = Pace(decode_s_per_token=3600)
    async with FakeEngine(pace=pace) as slow, engine_at(slow.url) as engine:
        task = asyncio.create_task(ask(engine))
        await slow.until(lambda: slow.running == 1)
        task.cancel()
        await slow.until(lambda: slow.aborted == 1 and slow.running == 0)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_endless_answer_is_cut_off(
    engine: OpenAIEngine, server: FakeEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine_module, "MAX_RESPONSE_BYTES", 1_000)
    server.fault = Status(200, body=b" " * 1_001)
    outcome = await ask(engine)
    assert isinstance(outcome, Broke)
    assert outcome.code == "engine_garbage"


async def test_what_is_not_http_is_garbage():
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail ready\r\n\r\n")
        writer.close()

    mail = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with engine_at(f"http://127.0.0.1:{mail.sockets[0].getsockname()[1]}") as engine:
        outcome = await ask(engine)
        assert isinstance(outcome, Broke)
        assert outcome.code == "engine_garbage"
    mail.close()


async def test_health_is_asked_of_the_engine(engine: OpenAIEngine, server: FakeEngine):
    assert await engine.healthy()
    server.healthy = False
    assert not await engine.healthy()


async def test_a_server_without_a_health_page_is_healthy_when_it_lists_models():
    def handle(exchange: Exchange) -> None:
        known = exchange.path == "/v1/models"
        exchange.answer(200 if known else 404, b'{"data":[{"id":"a"}]}')

    async with http_server(handle) as url, engine_at(url) as engine:
        assert await engine.healthy()
        assert await engine.models() == ["a"]


async def test_gauges_are_read(engine: OpenAIEngine, server: FakeEngine):
    server.kv_usage = 0.9
    server.running = 3
    assert await engine.gauges() == Gauges(running=3, waiting=0, kv_usage=0.9)


async def test_a_missing_cache_gauge_is_said_loudly_and_once(caplog: pytest.LogCaptureFixture):
    page = b"vllm:num_requests_running 1\n"
    with caplog.at_level(logging.WARNING):
        async with http_server(lambda it: it.answer(200, page)) as url, engine_at(url) as engine:
            assert await engine.gauges() == Gauges(running=1)
            assert await engine.gauges() == Gauges(running=1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_silent_engine_is_told_with_its_url_and_the_reason(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    engine = OpenAIEngine("one", "http://me:hunter2@127.0.0.1:1/v1")
    assert not await engine.healthy()
    assert caplog.records == [], "not in the first seconds"
    now = asyncio.get_running_loop().time
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now() + TELL_AFTER_S)
    for _ in range(2):
        assert not await engine.healthy()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    told = record.getMessage()
    assert told.startswith("engine one at http://127.0.0.1:1 has not been healthy for 5 s: Client")
    await engine.close()


async def test_llama_cpp_has_no_cache_gauge_to_miss(caplog: pytest.LogCaptureFixture):
    page = b"# TYPE x gauge\nllamacpp:requests_processing 1\n"
    with caplog.at_level(logging.WARNING):
        async with http_server(lambda it: it.answer(200, page)) as url, engine_at(url) as engine:
            assert await engine.gauges() == Gauges(running=1)
    assert caplog.records == []


async def test_a_full_engine_can_still_be_probed(server: FakeEngine):
    server.fault = Hang()
    async with engine_at(server.url, max_connections=1) as engine:
        task = asyncio.create_task(ask(engine))
        await server.until(lambda: server.requests == 1)
        assert await engine.healthy()
        task.cancel()
        await server.until(lambda: server.aborted == 1)


async def test_closing_works_twice_and_before_the_first_call():
    engine = OpenAIEngine("one", "http://127.0.0.1:1")
    assert engine.name == "one"
    await engine.close()
    await engine.close()


def test_an_engine_can_be_made_outside_a_running_loop():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert OpenAIEngine("one", f"http://127.0.0.1:{port}").name == "one"
