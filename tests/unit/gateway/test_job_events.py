"""A job's changes as server-sent events."""

import asyncio
from typing import Any

import msgspec
import pytest

from headpond.domain.facts import StreamClosed, StreamOpened
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import Stage, answered


def events(body: bytes) -> list[tuple[int, Any]]:
    """Ids and data; raises on anything that is neither an event nor a keep-alive."""
    found: list[tuple[int, Any]] = []
    for block in body.decode().split("\n\n")[:-1]:
        if block == ": keep-alive":
            continue
        kind, number, data = block.split("\n")
        assert kind == "event: job"
        found.append(
            (int(number.removeprefix("id: ")), msgspec.json.decode(data.removeprefix("data: ")))
        )
    return found


async def submitted(stage: Stage) -> str:
    return (await stage.post("/jobs", {"prompt": "a"})).json["job_id"]


async def test_each_change_is_an_event_and_the_last_one_ends_it() -> None:  # SPEC G3
    stage = Stage()
    job_id = await submitted(stage)

    following = asyncio.create_task(stage.get(f"/jobs/{job_id}/events"))
    await asyncio.sleep(0)
    claim = await stage.claim()
    await asyncio.sleep(0)
    await stage.settle(claim, answered())
    reply = await following

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    ids = [number for number, _ in events(reply.body)]
    assert ids == sorted(set(ids))
    number, last = events(reply.body)[-1]
    assert last["status"] == "succeeded"
    assert last["text"] == "hi"
    assert last["version"] == number


async def test_a_reader_that_comes_back_gets_what_is_newer() -> None:
    stage = Stage()
    job_id = await submitted(stage)
    await stage.work()
    version = (await stage.get(f"/jobs/{job_id}")).json["version"]

    seen_before = await stage.get(f"/jobs/{job_id}/events", last_event_id=str(version - 1))
    seen_all = await stage.get(f"/jobs/{job_id}/events", last_event_id=str(version))

    assert [number for number, _ in events(seen_before.body)] == [version]
    # 204 tells an EventSource not to come back.
    assert (seen_all.status, seen_all.body) == (204, b"")


async def test_a_look_at_the_head_of_a_stream_is_not_held() -> None:
    stage = Stage()
    job_id = await submitted(stage)

    reply = await stage.request("HEAD", f"/jobs/{job_id}/events")

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-type"].startswith("text/event-stream")


async def test_line_breaks_in_an_answer_do_not_break_an_event() -> None:
    stage = Stage()
    job_id = await submitted(stage)
    pretty = msgspec.json.format(answered("a\nb").response, indent=2)
    await stage.work(msgspec.structs.replace(answered(), response=pretty))

    [(_, job)] = events((await stage.get(f"/jobs/{job_id}/events")).body)
    assert job["text"] == "a\nb"


def test_a_quiet_stream_is_kept_alive() -> None:
    async def experiment() -> None:
        stage = Stage(clock=LoopClock())
        job_id = await submitted(stage)

        following = asyncio.create_task(stage.get(f"/jobs/{job_id}/events"))
        await asyncio.sleep(31)
        await stage.work()
        reply = await following

        assert reply.body.count(b": keep-alive\n\n") == 2
        assert events(reply.body)[-1][1]["status"] == "succeeded"

    run_virtually(experiment())


@pytest.mark.parametrize("last", ["x", "-1", "", "1" * 10])
async def test_a_bad_last_event_id_is_refused(last: str) -> None:
    stage = Stage()
    job_id = await submitted(stage)

    reply = await stage.get(f"/jobs/{job_id}/events", last_event_id=last)

    assert reply.status == 400
    assert reply.error["param"] == "Last-Event-ID"


async def test_readers_of_changes_are_counted_like_others() -> None:
    stage = Stage()
    job_id = await submitted(stage)
    await stage.work()

    reply = await stage.get(f"/jobs/{job_id}/events?starting_after=1")

    assert [number for number, _ in events(reply.body)] == [4]
    assert StreamOpened("events") in stage.recorder.facts
    assert StreamClosed("events") in stage.recorder.facts
