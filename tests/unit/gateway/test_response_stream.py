"""A response as a stream of events: official types, gapless numbers."""

import asyncio
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from headpond.domain.job import JobState
from headpond.domain.outcome import Outcome, Refused
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import answered
from tests.unit.gateway.streaming import Speaking, Visit, events

URL = "/v1/responses"
ASKED: dict[str, object] = {"model": "model", "input": "hello", "stream": True, "background": True}
PARSER: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OPENING = ["created", "queued", "in_progress"]
MESSAGE = ["output_item.added", "content_part.added"]
MESSAGE_DONE = ["output_text.done", "content_part.done", "output_item.done"]


def told(body: bytes) -> list[dict[str, Any]]:
    """The events' data, checked for their form against the official client."""
    found: list[dict[str, Any]] = []
    for event in events(body):
        assert event.kind == event.data["type"]
        parsed: Any = PARSER.validate_python(event.data)
        assert parsed.type == event.data["type"]
        found.append(event.data)
    return found


def kinds(body: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told(body)]


def numbers(body: bytes) -> list[int]:
    return [event["sequence_number"] for event in told(body)]


async def finished(stage: Speaking) -> bytes:
    """The whole stream of a response that said two words."""
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say(claim.job, {"role": "assistant", "content": "Hello"}, " you")
    await stage.settle(claim, answered("Hello you"))
    return (await visit.task).body


async def test_a_response_is_told_event_by_event() -> None:  # SPEC G4
    body = await finished(Speaking())

    expected = [*OPENING, *MESSAGE, "output_text.delta", "output_text.delta"]
    assert kinds(body) == [*expected, *MESSAGE_DONE, "completed"]
    assert numbers(body) == list(range(11))
    *_, item, last = told(body)
    assert last["response"]["output"] == [item["item"]]
    assert item["item"]["content"][0]["text"] == "Hello you"
    assert last["response"]["usage"]["total_tokens"] == 5
    first = told(body)[0]["response"]
    assert (first["status"], first["output"], first["usage"]) == ("queued", [], None)


async def test_a_reader_comes_back_without_gap_or_repeat() -> None:  # SPEC G4
    stage = Speaking()
    body = await finished(stage)
    url = f"{URL}/{told(body)[0]['response']['id']}?stream=true"

    assert (await stage.get(url)).body == body
    for after in range(11):
        rest = await stage.get(f"{url}&starting_after={after}")
        assert told(rest.body) == told(body)[after + 1 :]


async def test_after_a_restart_new_items_follow() -> None:  # SPEC W7
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    first = await stage.run()
    await stage.say(first.job, "lost")
    await visit.got(b"lost")
    await stage.answer(await stage.take_over(first))
    body = (await visit.task).body

    run = [*MESSAGE, "output_text.delta"]
    expected = [*OPENING, *run, "queued", "in_progress", *run, *MESSAGE_DONE, "completed"]
    assert kinds(body) == expected
    assert numbers(body) == list(range(len(expected)))
    deltas = [event for event in told(body) if event["type"].endswith("text.delta")]
    assert [delta["output_index"] for delta in deltas] == [0, 1]
    assert deltas[0]["item_id"] != deltas[1]["item_id"]
    [item] = told(body)[-1]["response"]["output"]
    assert (item["id"], item["content"][0]["text"]) == (deltas[1]["item_id"], "hi")


async def test_forgotten_tokens_are_replaced_by_the_result() -> None:
    stage = Speaking()
    body = await finished(stage)
    await stage.streams.forget(stage.clock.now() + 1)
    url = f"{URL}/{told(body)[0]['response']['id']}?stream=true"

    back = (await stage.get(f"{url}&starting_after=6")).body
    early = (await stage.get(f"{url}&starting_after=0")).body

    again = ["queued", "in_progress", *MESSAGE, "output_text.delta", *MESSAGE_DONE, "completed"]
    assert kinds(back) == again
    assert numbers(back) == list(range(7, 7 + len(again)))
    assert kinds(early) == ["queued", "in_progress", *again]
    assert numbers(early) == list(range(1, 3 + len(again)))


async def test_who_has_read_tokens_that_are_gone_is_told_the_end_of_what_failed() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say(claim.job, "h", "i")
    await stage.settle(claim, Refused("Too long."))
    await visit.task
    body = bytes(visit.body)
    url = f"{URL}/{told(body)[0]['response']['id']}?stream=true&starting_after"
    last = numbers(body)[-1]
    assert (await stage.get(f"{url}={last}")).body == b""
    await stage.streams.forget(stage.clock.now() + 1)

    back = (await stage.get(f"{url}={last - 1}")).body
    assert (kinds(back), numbers(back)) == (["failed"], [last])


async def test_a_call_is_told_with_its_arguments() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    function = {"name": "weather", "arguments": ""}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    await stage.say(claim.job, {"tool_calls": [call]})
    for part in ('{"city":', '"Bonn"}'):
        piece = {"index": 0, "function": {"arguments": part}}
        await stage.say(claim.job, {"tool_calls": [piece]})
    plain = {"id": "call_1", "type": "function"}
    plain |= {"function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
    await stage.settle(claim, answered(None, tool_calls=[plain], finish_reason="tool_calls"))
    body = (await visit.task).body

    arguments = "function_call_arguments"
    expected = [*OPENING, "output_item.added", f"{arguments}.delta", f"{arguments}.delta"]
    assert kinds(body) == [*expected, f"{arguments}.done", "output_item.done", "completed"]
    assert told(body)[-1]["response"]["output"][0]["arguments"] == '{"city":"Bonn"}'


async def test_a_call_that_cannot_be_announced_is_there_in_the_end() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    for piece in ({"index": 0}, {"index": 0, "id": "c", "function": {"name": "f"}}):
        await stage.say(claim.job, {"tool_calls": [piece]})
    plain = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    await stage.settle(claim, answered(None, tool_calls=[plain]))
    body = (await visit.task).body

    done = ["function_call_arguments.done", "output_item.done"]
    assert kinds(body) == [*OPENING, "output_item.added", *done, "completed"]


async def test_an_empty_text_is_an_item_too() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    await stage.answer(await stage.run(), answered(""))

    assert kinds((await visit.task).body) == [*OPENING, *MESSAGE, *MESSAGE_DONE, "completed"]


async def test_other_choices_are_not_mixed_in() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    claim = await stage.run()
    await stage.say_choices(claim.job, [{"index": 1, "delta": {"content": "other"}}])
    await stage.settle(claim, answered("hi"))

    assert b"other" not in (await visit.task).body


async def test_an_answer_that_was_cut_short_is_incomplete() -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    await stage.answer(await stage.run(), answered("hi", finish_reason="length"))

    assert kinds((await visit.task).body)[-1] == "incomplete"


@pytest.mark.parametrize("ran", [True, False])
async def test_a_response_that_ends_badly_says_so(ran: bool) -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    if ran:
        await stage.work(Refused("Too long."))
    else:
        await visit.got(b"response.queued")
        [job] = stage.jobs._records
        await stage.post(f"/jobs/{job}/cancel")
    body = (await visit.task).body

    assert kinds(body) == [*OPENING[: 3 if ran else 2], "failed"]
    assert told(body)[-1]["response"]["status"] == ("failed" if ran else "cancelled")


@pytest.mark.parametrize(
    ("background", "headers", "state"),
    [
        (False, {}, JobState.CANCELLED),
        (False, {"idempotency-key": "k"}, JobState.RUNNING),
        (True, {}, JobState.RUNNING),
    ],
)
async def test_who_leaves_a_stream_has_cancelled_it_in_the_foreground(
    background: bool, headers: dict[str, str], state: JobState
) -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, {**ASKED, "background": background}, headers=headers)
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    await visit.leave()

    [job] = stage.jobs._records.values()
    assert job.state is state


def test_a_quiet_stream_is_kept_alive() -> None:
    async def experiment() -> None:
        stage = Speaking(clock=LoopClock())
        asking = asyncio.create_task(stage.post(URL, ASKED))
        await asyncio.sleep(31)
        await stage.work()
        assert (await asking).body.count(b": keep-alive\n\n") == 2

    run_virtually(experiment())


@pytest.mark.parametrize("forget", [False, True])
async def test_a_redriven_response_has_a_new_stream(*, forget: bool) -> None:
    stage = Speaking()
    visit = Visit(stage, "POST", URL, ASKED)
    first = await stage.run()
    await stage.say(first.job, "lost")
    await visit.got(b"lost")
    await stage.die_and_be_redriven(first, forget=forget)
    had = numbers((await visit.task).body)
    claim = await stage.run()
    await stage.say(claim.job, "h", "i")
    await stage.settle(claim, answered("hi"))

    url = f"{URL}/{told(bytes(visit.body))[0]['response']['id']}?stream=true"
    everything = (await stage.get(url)).body
    assert kinds(everything)[:2] == ["created", "queued"]
    assert numbers(everything) == list(range(1_000_000, 1_000_000 + len(kinds(everything))))
    assert told(everything)[-1]["response"]["output"][0]["content"][0]["text"] == "hi"
    for after in had:
        assert (await stage.get(f"{url}&starting_after={after}")).body == everything
    for place, after in enumerate(numbers(everything), start=1):
        rest = await stage.get(f"{url}&starting_after={after}")
        assert told(rest.body) == told(everything)[place:]


@pytest.mark.parametrize("outcome", [answered(), Refused("Too long.")])
async def test_a_number_that_no_event_had_is_refused(outcome: Outcome) -> None:
    stage = Speaking()
    asked = {**ASKED, "stream": False}
    url = f"{URL}/{(await stage.post(URL, asked)).json['id']}?stream=true"

    async def status(after: int) -> int:
        visit = Visit(stage, "GET", f"{url}&starting_after={after}")
        while not visit.status:  # noqa: ASYNC110 - only the wire tells
            await asyncio.sleep(0)
        await visit.leave()
        return visit.status

    assert [await status(after) for after in (1, 2)] == [200, 400]
    claim = await stage.claim()
    assert [await status(after) for after in (2, 3)] == [200, 400]
    await stage.settle(claim, outcome)
    last = numbers((await stage.get(url)).body)[-1]
    assert [await status(after) for after in (last, last + 1)] == [200, 400]
    refused = await stage.get(f"{url}&starting_after=999")
    assert refused.error["code"] == "invalid_value"
    assert refused.error["param"] == "starting_after"
    assert refused.error["message"].endswith(f"none is above {last} by now.")


async def test_of_tokens_that_may_be_gone_only_a_bound_is_known() -> None:
    stage = Speaking()
    url = f"{URL}/{told(await finished(stage))[0]['response']['id']}?stream=true"
    assert (await stage.get(f"{url}&starting_after=999")).status == 200
    assert (await stage.get(f"{url}&starting_after=2000000")).status == 400
