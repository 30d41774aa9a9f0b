import asyncio
import json
import sys
from collections.abc import AsyncGenerator

import aiohttp
import pytest

from headpond.testing.engine_server import FakeEngine, Hang, Pace
from headpond.testing.http_server import Exchange, HttpServer

REQUEST = b'{"model":"fake","messages":[],"max_tokens":2}'


@pytest.fixture
async def client() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(client: aiohttp.ClientSession, engine: FakeEngine, body: bytes = REQUEST) -> bytes:
    async with client.post(f"{engine.url}/v1/chat/completions", data=body) as response:
        return await response.read()


async def read(client: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with client.get(url) as response:
        return response.status, await response.text()


async def test_it_answers_like_vllm(client: aiohttp.ClientSession):
    async with FakeEngine(answer="Washing machines") as engine:
        answer = json.loads(await ask(client, engine))
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "Washing machines"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["logprobs"] is None
    assert answer["usage"] == {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}


async def test_log_probabilities_come_when_asked_for(client: aiohttp.ClientSession):
    async with FakeEngine(answer="Washing machines", logprob=-0.5) as engine:
        answer = json.loads(await ask(client, engine, REQUEST[:-1] + b',"logprobs":true}'))
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert [token["token"] for token in tokens] == ["Washing", " machines"]
    assert {token["logprob"] for token in tokens} == {-0.5}


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"no", 400), (b'{"model":"fake"}', 400), (b'{"model":"other","messages":[]}', 404)],
)
async def test_it_refuses_like_vllm(client: aiohttp.ClientSession, body: bytes, code: int):
    async with FakeEngine() as engine:
        answer = json.loads(await ask(client, engine, body))
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]


async def test_it_lists_its_model_and_knows_no_other_page(client: aiohttp.ClientSession):
    async with FakeEngine(model="m") as engine:
        _, models = await read(client, f"{engine.url}/v1/models")
        assert json.loads(models)["data"][0]["id"] == "m"
        assert (await read(client, f"{engine.url}/other"))[0] == 404


async def test_the_gauges_follow_the_work(client: aiohttp.ClientSession):
    pace = Pace(decode_s_per_token=3600, slots=1)
    async with FakeEngine(pace=pace, kv_tokens=100) as engine:
        tasks = [asyncio.create_task(ask(client, engine)) for _ in range(3)]
        await engine.until(lambda: engine.running == 1 and engine.waiting == 2)
        _, page = await read(client, f"{engine.url}/metrics")
        assert 'vllm:num_requests_running{engine="0",model_name="fake"} 1.0' in page
        assert 'vllm:num_requests_waiting{engine="0",model_name="fake"} 2.0' in page
        assert 'vllm:kv_cache_usage_perc{engine="0",model_name="fake"} 0.12' in page
        for task in tasks:
            task.cancel()
        await engine.until(lambda: engine.aborted == 3 and not engine.running)


async def test_a_paced_answer_arrives(client: aiohttp.ClientSession):
    async with FakeEngine(pace=Pace(prefill_s_per_token=0.0, decode_s_per_token=0.0)) as engine:
        assert b'"content":"Yes"' in await ask(client, engine)
        assert engine.answered == 1


def test_a_fuller_batch_is_slower_for_each_and_faster_for_all():
    pace = Pace()
    alone = pace.duration_s(0, 100, 0)
    assert pace.duration_s(0, 100, 7) / alone == pytest.approx(1.2, abs=0.01)
    assert pace.duration_s(0, 100, 31) / alone == pytest.approx(1.9, abs=0.01)
    assert pace.duration_s(1000, 0, 0) == pytest.approx(0.1)


async def test_the_bodies_kept_are_bounded(client: aiohttp.ClientSession):
    async with FakeEngine(bodies_kept=2) as engine:
        for _ in range(3):
            await ask(client, engine)
        assert len(engine.bodies) == 2
        assert engine.requests == 3


async def test_dying_ends_what_hangs(client: aiohttp.ClientSession):
    async with FakeEngine() as engine:
        engine.fault = Hang()
        task = asyncio.create_task(ask(client, engine))
        await engine.until(lambda: engine.requests == 1)
        await engine.die()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await task


async def test_an_exchange_is_answered_once(client: aiohttp.ClientSession):
    seen: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        seen.append(exchange)
        exchange.answer(200, exchange.body)

    server = HttpServer(handle)
    await server.start()
    async with client.post(f"http://127.0.0.1:{server.port}/a?b", data=b"x" * 300_000) as response:
        assert len(await response.read()) == 300_000
    assert seen[0].path == "/a?b"
    with pytest.raises(RuntimeError, match="answered already"):
        seen[0].answer(200, b"")
    await server.stop()
    await server.stop()


async def test_nonsense_is_hung_up_on():
    server = HttpServer(lambda exchange: exchange.answer(200, b""))
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"nonsense\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    await server.stop()


@pytest.mark.parametrize("more", [[], ["--decode-ms", "0.01", "--prefill-ms", "0.01"]])
async def test_it_runs_in_a_process_of_its_own(client: aiohttp.ClientSession, more: list[str]):
    command = ["-m", "headpond.testing.engine_server", "--model", "m", *more]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    async with client.post(
        f"{url}/v1/chat/completions", data=REQUEST.replace(b"fake", b"m")
    ) as response:
        assert response.status == 200
    process.terminate()
    await process.wait()


async def test_it_streams_like_vllm(client: aiohttp.ClientSession):
    body = REQUEST[:-1] + b',"stream":true,"logprobs":true,"stream_options":{"include_usage":true}}'
    async with FakeEngine(answer="Washing machines here", logprob=-0.5) as engine:
        stream = (await ask(client, engine, body)).decode()
    *events, done, rest = stream.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert (done, rest) == ("data: [DONE]", "")
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    *spoken, usage = chunks
    assert [chunk["choices"][0]["delta"].get("content") for chunk in spoken] == [
        *("", "Washing", " machines"),
        None,
    ]
    assert spoken[-1]["choices"][0]["finish_reason"] == "length"
    assert spoken[1]["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 2)


async def test_tokens_of_a_stream_take_their_time(client: aiohttp.ClientSession):
    body = REQUEST[:-1] + b',"stream":true}'
    pace = Pace(prefill_s_per_token=0, decode_s_per_token=0.05)
    loop = asyncio.get_running_loop()
    async with FakeEngine(answer="a b", pace=pace) as engine:
        began = loop.time()
        assert b'"usage"' not in await ask(client, engine, body)
        assert loop.time() - began >= 0.1
        assert engine.running == 0
