"""A chat as a stream of chunks: never a silent splice."""

import asyncio

import pytest

from headpond.domain.job import JobState
from headpond.domain.outcome import Refused
from headpond.settings import GatewaySettings
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import Reply, answered
from tests.unit.gateway.streaming import Speaking, Visit, events

URL = "/v1/chat/completions"
ASKED: dict[str, object] = {
    "model": "model",
    "messages": [{"role": "user", "content": "hello"}],
    "stream": True,
}


def texts(body: bytes) -> list[str | None]:
    """What each chunk adds; None for a chunk without choices."""
    return [
        event.data["choices"][0]["delta"].get("content") if event.data["choices"] else None
        for event in events(body)
        if event.data != "[DONE]" and "choices" in event.data
    ]


async def state(stage: Speaking) -> JobState:
    """That of the only job."""
    [job] = stage.jobs._records.values()
    return job.state


async def test_chunks_come_while_the_job_runs() -> None:  # SPEC G4
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say(claim.job, {"role": "assistant", "content": "Hello"})
    await visit.got(b"Hello")
    await stage.say(claim.job, " you")
    await stage.settle(claim, answered("Hello you"))
    reply = await visit.task

    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["x-headpond-job-id"] == claim.job.id
    assert texts(reply.body) == ["Hello", " you"]
    *chunks, end = events(reply.body)
    assert end.data == "[DONE]"
    assert {chunk.data["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.data["id"] for chunk in chunks}) == 1
    assert chunks[0].data["choices"][0]["delta"]["role"] == "assistant"
    assert "usage" not in chunks[0].data


async def test_usage_comes_last_where_it_is_asked_for() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, {**ASKED, "stream_options": {"include_usage": True}})
    await stage.answer(await stage.run())
    *chunks, last, _ = events((await visit.task).body)

    assert last.data["choices"] == []
    assert last.data["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert [chunk.data["usage"] for chunk in chunks] == [None]


async def test_a_restart_ends_the_stream_with_an_error() -> None:  # SPEC G4, W7
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    first = await stage.run()
    await stage.say(first.job, "lost")
    await visit.got(b"lost")
    second = await stage.take_over(first)
    *_, last = events((await visit.task).body)

    assert last.data["error"]["code"] == "stream_restarted"
    assert last.data["error"]["job_id"] == first.job.id
    # Nobody has cancelled anything: the job goes on.
    await stage.answer(second)
    assert await state(stage) is JobState.SUCCEEDED


async def test_a_restart_before_anything_was_sent_is_none() -> None:
    stage = Speaking()
    first = asyncio.create_task(stage.post(URL, ASKED, idempotency_key="k"))
    claim = await stage.run()
    await stage.say(claim.job, "lost")
    await stage.answer(await stage.take_over(claim))
    await first
    again = await stage.post(URL, ASKED, idempotency_key="k")

    assert texts(again.body) == ["hi"]
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_job_that_fails_before_its_first_token_is_an_answer_of_its_own() -> None:
    stage = Speaking()
    asking = asyncio.create_task(stage.post(URL, ASKED))
    await stage.work(Refused("Too long.", "context_length_exceeded"))
    reply = await asking

    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"


async def test_one_that_fails_later_ends_the_stream_with_an_error() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    await stage.settle(claim, Refused("Too long.", "context_length_exceeded"))
    *_, last = events((await visit.task).body)

    assert last.data["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("spoken", [False, True])
async def test_a_client_that_leaves_has_cancelled_its_job(spoken: bool) -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    if spoken:
        await stage.settle(claim, answered("Hello"))
        await visit.task
    await visit.leave()

    assert await state(stage) is (JobState.SUCCEEDED if spoken else JobState.CANCELLED)
    assert stage.readers == 0


async def test_a_client_that_left_before_the_first_token_may_ask_again() -> None:  # SPEC G7
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    visit.left.set()
    await stage.say(claim.job, "Hello")
    await visit.task

    assert await state(stage) is JobState.RUNNING


async def test_a_client_with_a_key_comes_back() -> None:  # SPEC G7
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED, headers={"idempotency-key": "k"})
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    await visit.leave()
    assert await state(stage) is JobState.RUNNING

    await stage.settle(claim, answered("Hello"))
    assert texts((await stage.post(URL, ASKED, idempotency_key="k")).body) == ["Hello"]


async def test_a_gateway_that_ends_says_that_the_job_goes_on() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    stage.parts.desk.close()
    *_, last = events((await visit.task).body)

    assert last.data["error"]["code"] == "not_done_in_time"
    assert await state(stage) is JobState.RUNNING


async def test_one_that_ends_before_the_first_token_says_so_at_once() -> None:
    stage = Speaking()
    asking = asyncio.create_task(stage.post(URL, ASKED))
    await stage.run()
    stage.parts.desk.close()

    assert (await asking).status == 504


@pytest.mark.parametrize(("wait", "keep_alives", "status"), [("1", 0, 504), ("31", 2, 200)])
def test_patience_is_for_the_first_token(wait: str, keep_alives: int, status: int) -> None:
    async def experiment() -> Reply:
        stage = Speaking(clock=LoopClock(), settings=GatewaySettings(max_wait_s=60))
        return await stage.post(URL, ASKED, x_headpond_wait=wait)

    reply = run_virtually(experiment())

    assert reply.status == status
    assert reply.body.count(b": keep-alive\n\n") == keep_alives
    assert b'"code":"not_done_in_time"' in reply.body


def test_a_stream_that_speaks_may_take_its_time() -> None:
    async def experiment() -> Reply:
        stage = Speaking(clock=LoopClock())
        asking = asyncio.create_task(stage.post(URL, ASKED, x_headpond_wait="20"))
        claim = await stage.run()
        for text in "ab":
            await stage.say(claim.job, text)
            await asyncio.sleep(100)
        await stage.settle(claim, answered("ab"))
        return await asking

    reply = run_virtually(experiment())

    assert texts(reply.body) == ["a", "b"]
    assert reply.body.endswith(b"data: [DONE]\n\n")
