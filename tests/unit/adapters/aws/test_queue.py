"""What is particular to queues of SQS."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from headpond.adapters.aws import queue as aws_queue
from headpond.adapters.aws.calls import CONNECT_S, Answer, Place
from headpond.adapters.aws.queue import BATCH as CALL
from headpond.adapters.aws.queue import MAX_LEASE_S, SqsQueue, open_queue
from headpond.adapters.handles.queue import NOTHING, Catch
from headpond.domain.lane import Lane
from headpond.domain.quote import ANYBODY
from headpond.errors import Unavailable
from headpond.ports.queue import Lease, LeaseToken
from headpond.settings import PoolSettings
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, INTERACTIVE, message, names
from headpond.testing.records import LONGEST
from tests.emulators.moto_server import Moto
from tests.emulators.serving import served

LONG_S = 4 * 3_600.0


async def test_messages_go_in_calls_of_ten_both_ways(queue: SqsQueue) -> None:
    sent = [f"job-{number}" for number in range(2 * CALL + 3)]
    await queue.send([message(name) for name in sent])
    leases = await queue.receive([BATCH], limit=100, lease_s=10)
    assert sorted(names(leases)) == sorted(sent)
    await queue.ack(leases)
    assert queue._service.calls["SendMessageBatch"] == 3
    assert queue._service.calls["DeleteMessageBatch"] == 3


@pytest.mark.parametrize("team", LONGEST)
def test_teams_with_long_names_have_groups_of_their_own(team: str) -> None:
    groups = {aws_queue._group(team), aws_queue._group(team + "x")}
    assert len(groups) == 2
    assert all(0 < len(group) <= 128 and group.isascii() for group in groups)
    assert aws_queue._group("a \u968a") == r"a_\u968a"


async def test_a_message_may_be_delayed_for_longer_than_sqs_can(
    queue: SqsQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")], delay_s=LONG_S)
    for _ in range(3):
        clock.advance(LONG_S / 4)
        assert await queue.receive([BATCH], limit=1, lease_s=10) == []
    clock.advance(LONG_S / 4)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_no_lease_is_prolonged_past_twelve_hours(queue: SqsQueue, clock: ManualClock) -> None:
    await queue.send([message("a")])
    leases = await queue.receive([BATCH], limit=1, lease_s=30_000)
    clock.advance(29_000)
    assert await queue.extend(leases, lease_s=10_000) == leases
    clock.advance(9_000)
    assert await queue.extend(leases, lease_s=10_000) == leases
    clock.advance(MAX_LEASE_S - 38_000)
    assert await queue.extend(leases, lease_s=10_000) == []


async def test_what_another_process_leased_does_not_hold_here(queue: SqsQueue) -> None:
    await queue.send([message("a")])
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=10)
    stranger = Lease(lease.message, LeaseToken("of somebody else"))
    assert await queue.extend([stranger], lease_s=10) == []
    await queue.ack([stranger])
    assert (await queue.depth(BATCH)).leased == 1


async def test_a_poll_that_nobody_waits_for_gives_back_what_it_catches(queue: SqsQueue) -> None:
    await queue.depth(BATCH)
    await queue.depth(INTERACTIVE)
    waiting = asyncio.create_task(
        queue.receive([INTERACTIVE, BATCH], limit=1, lease_s=1_000, wait_s=5)
    )
    while not queue._polls.calls["ReceiveMessage"] >= 4:  # noqa: ASYNC110 - sent in some later turn
        await asyncio.sleep(0)
    await queue.send([message("a", INTERACTIVE)])
    assert names(await waiting) == ["a"]
    assert queue._strays
    await queue.send([message("b")])
    await asyncio.wait(queue._returns)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["b"]


async def test_a_receiver_that_is_cut_off_leaves_its_message_to_others(queue: SqsQueue) -> None:
    await queue.depth(BATCH)
    waiting = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=1_000, wait_s=5))
    while not queue._polls.calls["ReceiveMessage"] >= 2:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await queue.send([message("a")])
    await asyncio.wait(queue._returns)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_who_is_cut_off_in_a_short_poll_leaves_nothing_leased(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.send([message("a", INTERACTIVE), message("b")])
    poll, polled, goes_on = queue._poll, asyncio.Event(), asyncio.Event()

    async def slow(lane: Lane, *asked: Any) -> Catch:
        catch = await poll(lane, *asked)
        if lane is BATCH:
            polled.set()
            await goes_on.wait()
        return catch

    monkeypatch.setattr(queue, "_poll", slow)
    receiving = asyncio.create_task(queue.receive([INTERACTIVE, BATCH], limit=5, lease_s=1_000))
    await polled.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    goes_on.set()
    await asyncio.gather(*queue._returns)
    assert not queue._strays
    again = await queue.receive([INTERACTIVE, BATCH], limit=5, lease_s=10)
    assert sorted(names(again)) == ["a", "b"]


async def test_who_is_cut_off_while_what_is_too_much_is_given_back_leaves_nothing_leased(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.send([message("a"), message("b")])
    poll, hide, hiding = queue._poll, queue._hide, asyncio.Event()

    async def greedy(lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        return await poll(lane, limit + 1, lease_s, 0) if wait_s else NOTHING

    async def stuck(*_: object) -> list[Lease]:
        monkeypatch.setattr(queue, "_hide", hide)
        hiding.set()
        return await asyncio.Future()

    monkeypatch.setattr(queue, "_poll", greedy)
    monkeypatch.setattr(queue, "_hide", stuck)
    receiving = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=1_000, wait_s=5))
    await hiding.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    await asyncio.gather(*queue._returns)
    monkeypatch.undo()
    again = await queue.receive([BATCH], limit=5, lease_s=10)
    assert sorted(names(again)) == ["a", "b"]


async def test_a_message_that_cannot_be_read_costs_the_others_nothing(
    queue: SqsQueue, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a")])
    url = queue._urls[queue._name(BATCH)]
    await queue._service.call("SendMessage", QueueUrl=url, MessageBody="not ours")
    assert names(await queue.receive([BATCH], limit=10, lease_s=10)) == ["a"]
    assert "cannot be read: not ours" in caplog.text


async def test_what_waits_is_anybodys_and_its_work_is_reckoned(queue: SqsQueue) -> None:
    assert await queue.backlog(BATCH) == {}
    await queue.send([message("a", tokens=10)])
    backlog = await queue.backlog(BATCH)
    assert backlog[ANYBODY].jobs == 1
    assert 10 < backlog[ANYBODY].work_tokens < 500


async def test_a_queue_that_was_deleted_is_made_again(
    queue: SqsQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await queue.send([message("a", team="ü team " * 40)])
    await queue._service.call("DeleteQueue", QueueUrl=queue._urls[queue._name(BATCH)])
    with pytest.raises(Unavailable) as raised:
        await queue.depth(BATCH)
    assert raised.value.code == "sqs_unavailable"
    await queue.send([message("b")])
    assert names(await queue.receive([BATCH], limit=9, lease_s=10)) == ["b"]
    told = [record.getMessage() for record in caplog.records]
    assert told.count(f"SQS had no queue {queue._name(BATCH)}: it is made") == 2


async def test_a_call_that_stalls_does_not_hold_up_who_renews_leases(
    place: Place, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PoolSettings().lease_s / 3 > aws_queue.READ_S + CONNECT_S
    monkeypatch.setattr(aws_queue, "READ_S", 0.2)
    silence = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await silence.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", silent)
    async with served(app) as url, open_queue(Place(place.region, "p", url), clock) as queue:
        queue._urls[queue._name(BATCH)] = f"{url}/123456789012/p"
        lease = Lease(message("a"), LeaseToken("handle"))
        queue._leases.begin(lease, clock.now(), clock.now() + 30)
        polling = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=30))
        for _ in range(2):
            with pytest.raises(Unavailable, match="Read timeout"):
                await queue.extend([lease], lease_s=30)
        assert not polling.done()
        silence.set()
        assert await polling == []


async def test_a_lane_that_may_not_be_made_is_unavailable_and_says_what_to_do(
    place: Place, moto: Moto, clock: ManualClock
) -> None:
    async with moto.allowing(place, "sqs:GetQueueUrl"), open_queue(place, clock) as queue:
        with pytest.raises(Unavailable, match=r"AccessDenied.*allow sqs:CreateQueue") as raised:
            await queue.send([message("a")])
    assert raised.value.code == "sqs_unavailable"


async def test_a_lane_whose_name_sqs_does_not_take_is_unavailable(
    place: Place, clock: ManualClock
) -> None:
    long = Place(place.region, 80 * "q", place.endpoint)
    async with open_queue(long, clock) as queue:
        with pytest.raises(Unavailable, match="it may not be made") as raised:
            await queue.depth(BATCH)
    assert raised.value.code == "sqs_unavailable"


async def test_a_lane_that_fails_hides_nothing_of_those_before(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a", INTERACTIVE)])
    poll = queue._poll

    async def failing(lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        if lane is BATCH:
            raise Unavailable("not now", code="sqs_unavailable")
        return await poll(lane, limit, lease_s, wait_s)

    monkeypatch.setattr(queue, "_poll", failing)
    assert names(await queue.receive([INTERACTIVE, BATCH], limit=5, lease_s=10)) == ["a"]
    assert "cannot be received from: not now" in caplog.text
    with pytest.raises(Unavailable):
        await queue.receive([INTERACTIVE, BATCH], limit=5, lease_s=10)


async def test_what_cannot_be_given_back_costs_the_others_nothing(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a"), message("b")])
    poll = queue._poll

    async def greedy(lane: Lane, limit: int, lease_s: float, wait_s: float) -> Catch:
        return await poll(lane, limit + 1, lease_s, 0) if wait_s else NOTHING

    async def failing(leases: Sequence[Lease], for_s: float) -> list[Lease]:
        raise Unavailable(f"not {len(leases)}, not {for_s}", code="sqs_unavailable")

    monkeypatch.setattr(queue, "_poll", greedy)
    monkeypatch.setattr(queue, "_hide", failing)
    assert len(await queue.receive([BATCH], limit=1, lease_s=1_000, wait_s=5)) == 1
    assert "a message may wait for its lease to lapse: not 1" in caplog.text


async def test_a_lease_that_ends_while_others_are_extended_is_left_out(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.send([message(f"{number}") for number in range(15)])
    leases = await queue.receive([BATCH], limit=15, lease_s=10)
    batch = queue._batch

    async def meanwhile(operation: str, lane: Lane, entries: Sequence[object]) -> Answer:
        queue._leases.forget([leases[-1]])
        return await batch(operation, lane, entries)

    monkeypatch.setattr(queue, "_batch", meanwhile)
    assert await queue.extend(leases, lease_s=10) == leases[:-1]


async def test_a_poll_that_failed_under_who_waited_is_raised_and_not_told_beside(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(*asked: Lane | float) -> Catch:
        if asked[-1]:
            raise Unavailable(f"not {asked[0]}", code="sqs_unavailable")
        return NOTHING

    monkeypatch.setattr(queue, "_poll", failing)
    with pytest.raises(Unavailable, match="not "):
        await queue.receive([INTERACTIVE, BATCH], limit=1, lease_s=10, wait_s=5)
    assert not queue._strays
    assert not queue._returns
    assert not caplog.text


@pytest.mark.parametrize("error", [Unavailable("not now", code="sqs_unavailable"), KeyError("bug")])
async def test_a_poll_that_nobody_waits_for_may_fail_with_anything(
    queue: SqsQueue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    fails = asyncio.Event()

    async def failing(*asked: Lane | float) -> Catch:
        if asked[-1]:
            await fails.wait()
            raise error
        return NOTHING

    monkeypatch.setattr(queue, "_poll", failing)
    assert await queue.receive([BATCH], limit=1, lease_s=10, wait_s=0.01) == []
    assert len(queue._strays) == 1
    fails.set()
    await asyncio.gather(*queue._returns)
    assert not queue._strays
    assert caplog.text.count("a message may wait for its lease to lapse") == 1


async def test_a_lease_that_sqs_had_trouble_to_prolong_holds_as_long_as_before(
    queue: SqsQueue,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await queue.send([message("sick"), message("lost"), message("fine")])
    received = await queue.receive([BATCH], limit=3, lease_s=10)
    leases = dict(zip(names(received), received, strict=True))
    batch = queue._batch

    async def troubled(operation: str, lane: Lane, entries: Sequence[Any]) -> Answer:
        answer = await batch(operation, lane, entries[2:]) if entries[2:] else {}
        codes = ("RequestThrottled", "AWS.SimpleQueueService.MessageNotInflight")
        failed = [
            {"Id": entry["Id"], "Code": code, "SenderFault": True}
            for entry, code in zip(entries, codes, strict=False)
        ]
        return answer | {"Failed": failed}

    monkeypatch.setattr(queue, "_batch", troubled)
    held = await queue.extend([leases[name] for name in ("sick", "lost", "fine")], lease_s=100)
    assert sorted(names(held)) == ["fine", "sick"]
    assert "1 of 3 leases of default/batch are as they were: RequestThrottled" in caplog.text
    with pytest.raises(Unavailable, match="prolongs no lease for now"):
        await queue.extend([leases["sick"]], lease_s=100)
    monkeypatch.setattr(queue, "_batch", batch)
    clock.advance(11)
    assert names(await queue.extend(list(leases.values()), lease_s=100)) == ["fine"]
