"""A job's tokens as server-sent events, as docs/streams.md defines them."""

import asyncio

import msgspec
import pytest

from headpond.domain.outcome import Outcome, Refused
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import answered
from tests.unit.gateway.streaming import Event, Speaking, Visit, events


async def submitted(stage: Speaking) -> str:
    return (await stage.post("/jobs", {"prompt": "a", "stream": True})).json["job_id"]


def told(body: bytes | bytearray) -> list[tuple[str, str, object]]:
    """Kind, number and the one thing that matters of each event."""
    return [(event.kind, event.id, _matter(event)) for event in events(body)]


def _matter(event: Event) -> object:
    match event.kind:
        case "delta":
            return event.data["text"]
        case "restart":
            return event.data["run"]
        case _:
            return event.data["status"]


async def test_tokens_come_while_the_job_runs() -> None:  # SPEC G4
    stage = Speaking()
    visit = Visit(stage, "GET", f"/jobs/{await submitted(stage)}/stream")
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    assert stage.readers == 1
    await stage.say(claim.job, " you")
    await stage.settle(claim, answered("Hello you"))
    await visit.task

    assert told(visit.body) == [
        ("delta", "1", "Hello"),
        ("delta", "2", " you"),
        ("done", "3", "succeeded"),
    ]
    done = events(visit.body)[-1].data
    assert done["text"] == "Hello you"
    assert done["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}
    assert stage.readers == 0


@pytest.mark.parametrize("after", range(4))
async def test_a_reader_comes_back_without_gap_or_repeat(after: int) -> None:  # SPEC G4
    stage = Speaking()
    job_id = await submitted(stage)
    claim = await stage.run()
    await stage.say(claim.job, "a", "b")
    await stage.settle(claim, answered("ab"))

    everything = (await stage.get(f"/jobs/{job_id}/stream")).body
    by_query = await stage.get(f"/jobs/{job_id}/stream?starting_after={after}")
    by_header = await stage.get(f"/jobs/{job_id}/stream", last_event_id=str(after))

    assert told(by_query.body) == told(everything)[after:]
    assert by_header.body == by_query.body
    # 204 tells an EventSource not to come back.
    assert by_query.status == (204 if after == 3 else 200)


async def test_a_restart_says_that_what_came_is_void() -> None:  # SPEC W7
    stage = Speaking()
    visit = Visit(stage, "GET", f"/jobs/{await submitted(stage)}/stream")
    first = await stage.run()
    await stage.say(first.job, "lost")
    await visit.got(b"lost")
    second = await stage.take_over(first)
    await stage.answer(second)
    await visit.task

    assert told(visit.body) == [
        ("delta", "1", "lost"),
        ("restart", "2", second.job.version),
        ("delta", "3", "hi"),
        ("done", "4", "succeeded"),
    ]


async def test_forgotten_tokens_are_replaced_by_the_result() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    claim = await stage.run()
    await stage.say(claim.job, "h", "i")
    await stage.settle(claim, answered("hi"))
    await stage.streams.forget(stage.clock.now() + 1)

    fresh = await stage.get(f"/jobs/{job_id}/stream")
    back = await stage.get(f"/jobs/{job_id}/stream?starting_after=40")

    assert told(fresh.body) == [("delta", "1", "hi"), ("done", "2", "succeeded")]
    assert told(back.body) == [
        ("restart", "41", claim.job.version),
        ("delta", "42", "hi"),
        ("done", "43", "succeeded"),
    ]


async def test_who_has_read_tokens_that_are_gone_is_told_the_end_of_what_failed() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    claim = await stage.run()
    await stage.say(claim.job, "h", "i")
    await stage.settle(claim, Refused("Too long."))
    url = f"/jobs/{job_id}/stream?starting_after"
    assert (await stage.get(f"{url}=3")).status == 204
    await stage.streams.forget(stage.clock.now() + 1)

    assert told((await stage.get(f"{url}=2")).body) == [("done", "3", "failed")]
    assert told((await stage.get(f"{url}=0")).body) == [("done", "1", "failed")]


async def test_a_job_that_fails_says_why_at_the_end() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    await stage.work(Refused("Too long."))

    [event] = events((await stage.get(f"/jobs/{job_id}/stream")).body)
    assert (event.kind, event.data["error"]["message"]) == ("done", "Too long.")


async def test_any_job_has_a_stream() -> None:
    stage = Speaking()
    job_id = (await stage.post("/jobs", {"prompt": "a"})).json["job_id"]
    await stage.work()

    assert told((await stage.get(f"/jobs/{job_id}/stream")).body) == [
        ("delta", "1", "hi"),
        ("done", "2", "succeeded"),
    ]


async def test_the_engine_does_not_see_what_was_for_us() -> None:
    stage = Speaking()
    await submitted(stage)
    claim = await stage.claim()
    assert claim.job.stream
    assert b"stream" not in claim.request


async def test_pieces_are_passed_on_whole() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    claim = await stage.run()
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
    await stage.say(claim.job, {"tool_calls": [call]})
    await stage.settle(claim, answered(None))

    delta = events((await stage.get(f"/jobs/{job_id}/stream")).body)[0].data
    assert delta["text"] == ""
    assert delta["choices"][0]["delta"]["tool_calls"] == [call]


async def test_line_breaks_in_an_answer_do_not_break_an_event() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    pretty = msgspec.json.format(answered("a\nb").response, indent=2)
    await stage.work(msgspec.structs.replace(answered(), response=pretty))

    assert events((await stage.get(f"/jobs/{job_id}/stream")).body)[-1].data["text"] == "a\nb"


async def test_a_reader_that_leaves_changes_nothing() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    visit = Visit(stage, "GET", f"/jobs/{job_id}/stream")
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    await visit.leave()

    assert stage.readers == 0
    assert (await stage.get(f"/jobs/{job_id}")).json["status"] == "running"


async def test_a_gateway_that_ends_ends_the_stream() -> None:
    stage = Speaking()
    visit = Visit(stage, "GET", f"/jobs/{await submitted(stage)}/stream")
    claim = await stage.run()
    await stage.say(claim.job, "Hello")
    await visit.got(b"Hello")
    stage.parts.desk.close()
    await visit.task

    assert told(visit.body) == [("delta", "1", "Hello")]


def test_a_quiet_stream_is_kept_alive() -> None:
    async def experiment() -> None:
        stage = Speaking(clock=LoopClock())
        job_id = await submitted(stage)
        following = asyncio.create_task(stage.get(f"/jobs/{job_id}/stream"))
        await asyncio.sleep(31)
        await stage.work()
        assert (await following).body.count(b": keep-alive\n\n") == 2

    run_virtually(experiment())


async def test_a_look_at_the_head_of_a_stream_is_not_held() -> None:
    stage = Speaking()
    reply = await stage.request("HEAD", f"/jobs/{await submitted(stage)}/stream")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("number", ["x", "-1", "", "1" * 10])
async def test_a_bad_number_is_refused(number: str) -> None:
    stage = Speaking()
    job_id = await submitted(stage)

    by_query = await stage.get(f"/jobs/{job_id}/stream?starting_after={number}")
    by_header = await stage.get(f"/jobs/{job_id}/stream", last_event_id=number)

    assert (by_query.status, by_query.error["param"]) == (400, "starting_after")
    assert (by_header.status, by_header.error["param"]) == (400, "Last-Event-ID")


async def refused_above(stage: Speaking, url: str, last: int) -> None:
    """The last number that an event can have is taken, and the next one refused."""
    assert (await stage.get(url, last_event_id=str(last))).status in {200, 204}
    by_query = await stage.get(f"{url}?starting_after={last + 1}")
    by_header = await stage.get(url, last_event_id=str(last + 1))
    assert (by_query.status, by_query.error["code"]) == (400, "invalid_value")
    assert (by_query.error["param"], by_header.error["param"]) == (
        "starting_after",
        "Last-Event-ID",
    )


@pytest.mark.parametrize("outcome", [answered(), Refused("Too long.")])
async def test_a_number_that_no_event_had_is_refused(outcome: Outcome) -> None:
    stage = Speaking()
    job_id = (await stage.post("/jobs", {"prompt": "a"})).json["job_id"]
    url = f"/jobs/{job_id}/stream"
    assert (await stage.get(f"{url}?starting_after=1")).status == 400  # it waits
    await stage.work(outcome)
    await refused_above(stage, url, len(told((await stage.get(url)).body)))


async def test_a_streamed_job_that_never_ran_has_no_number_but_the_end() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    await stage.post(f"/jobs/{job_id}/cancel")
    await refused_above(stage, f"/jobs/{job_id}/stream", 1)


async def test_a_redriven_job_without_tokens_has_one_number_more() -> None:
    stage = Speaking()
    job_id = (await stage.post("/jobs", {"prompt": "a"})).json["job_id"]
    await stage.die_and_be_redriven(await stage.claim())
    await stage.work()
    await refused_above(stage, f"/jobs/{job_id}/stream", 1_000_003)


async def test_of_tokens_that_may_be_gone_only_a_bound_is_known() -> None:
    stage = Speaking()
    job_id = await submitted(stage)
    claim = await stage.run()
    await stage.say(claim.job, "h", "i")
    await stage.settle(claim, answered("hi"))
    await refused_above(stage, f"/jobs/{job_id}/stream", 1_000_000)


async def test_another_teams_stream_is_not_there() -> None:
    stage = Speaking()
    ours, theirs = [(await stage.keys.create(team)).secret for team in ("ours", "theirs")]
    job = await stage.post("/jobs", {"prompt": "a"}, authorization=f"Bearer {ours}")
    url = f"/jobs/{job.json['job_id']}/stream"
    assert (await stage.get(url, authorization=f"Bearer {theirs}")).status == 404


@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("said", [[], ["a"], ["a", "b"]])
async def test_a_redriven_job_has_a_new_stream(said: list[str], *, forget: bool) -> None:
    stage = Speaking()
    url = f"/jobs/{await submitted(stage)}/stream"
    first = await stage.run()
    await stage.say(first.job, *said)
    await stage.die_and_be_redriven(first, forget=forget)
    claim = await stage.run()
    await stage.say(claim.job, "x", "y", "z")
    await stage.settle(claim, answered("xyz"))

    everything = told((await stage.get(url)).body)
    assert everything[0] == ("restart", "1000001", None)
    assert whole(everything) == "xyz"
    for had in range(1, len(said) + 5):
        # Whatever a reader had from before the redrive, it is told that it is void.
        back = await stage.get(url, last_event_id=str(had))
        assert told(back.body) == everything
    for place, (_, number, _) in enumerate(everything, start=1):
        back = await stage.get(f"{url}?starting_after={number}")
        assert told(back.body) == everything[place:]


async def test_the_tokens_of_a_redriven_job_are_forgotten_too() -> None:
    stage = Speaking()
    url = f"/jobs/{await submitted(stage)}/stream"
    await stage.die_and_be_redriven(await stage.run())
    claim = await stage.run()
    await stage.say(claim.job, "h", "i")
    await stage.settle(claim, answered("hi"))
    await stage.streams.forget(stage.clock.now() + 1)

    run = claim.job.version
    old = told((await stage.get(url, last_event_id="2")).body)
    assert [(kind, number) for kind, number, _ in old] == [
        ("restart", "1000001"),
        ("delta", "1000002"),
        ("done", "1000003"),
    ]
    [void, delta, _] = told((await stage.get(url, last_event_id="1000003")).body)
    assert (void, delta) == (("restart", "1000004", run), ("delta", "1000005", "hi"))


def whole(stream: list[tuple[str, str, object]]) -> str:
    """The text that a reader has in the end."""
    text = ""
    for kind, _, matter in stream:
        text = {"delta": text + str(matter), "restart": ""}.get(kind, text)
    return text
