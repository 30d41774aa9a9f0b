"""What is particular to lanes in Pub/Sub."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Any

import pytest

from headpond.adapters.gcp import counts
from headpond.adapters.gcp.places import Place
from headpond.adapters.gcp.queue import MAX_HIDE_S, PULL_S, RECEIVED_S, PubsubQueue, open_queue
from headpond.domain.queue_limits import PUBSUB
from headpond.domain.quote import ANYBODY
from headpond.errors import SettingsError, Unavailable
from headpond.ports.queue import Lease, LeaseToken
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letter_queue_suite import look_aside
from headpond.testing.queue_suite import BATCH, INTERACTIVE, message, names
from tests.emulators.google_emulators import pubsub_emulator
from tests.emulators.pubsub_server import pubsub_server

_prefixes = (f"pond-{number}" for number in count())


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop() -> None:  # pyright: ignore[reportUnusedFunction]
    """For all tests: gRPC's thread calls back into loops that are closed by then."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def queue(clock: ManualClock) -> AsyncIterator[PubsubQueue]:
    async with pubsub_server(clock), opened(clock) as queue:
        yield queue


def opened(clock: ManualClock) -> AbstractAsyncContextManager[PubsubQueue]:
    return open_queue(Place("test-project", next(_prefixes)), clock)


@asynccontextmanager
async def googles(_: ManualClock) -> AsyncGenerator[None]:
    with pubsub_emulator():
        yield


# What ours does without its clock, Google's own does too.
@pytest.mark.parametrize("server", [pubsub_server, googles])
async def test_google_has_it_so(
    server: Callable[[ManualClock], AbstractAsyncContextManager[object]], clock: ManualClock
) -> None:
    async with server(clock), opened(clock) as queue:
        assert await queue.receive([INTERACTIVE, BATCH], limit=5, lease_s=30) == []
        await queue.send([message("a"), message("b"), message("c", INTERACTIVE)])
        first = await queue.receive([INTERACTIVE, BATCH], limit=1, lease_s=30, wait_s=10)
        assert names(first) == ["c"]
        rest = await queue.receive([INTERACTIVE, BATCH], limit=5, lease_s=30, wait_s=10)
        assert sorted(names(rest)) == ["a", "b"]
        assert await queue.extend(rest, lease_s=600) == rest
        await queue.ack([*first, rest[0]])
        await queue.give_back(rest[1:])
        again = await queue.receive([BATCH], limit=5, lease_s=30, wait_s=10)
        assert names(again) == names(rest[1:])
        assert again[0].token != rest[1].token
        waiting = asyncio.create_task(
            queue.receive([INTERACTIVE, BATCH], limit=1, lease_s=30, wait_s=10)
        )
        await asyncio.sleep(0.1)
        await queue.send([message("late")])
        assert names(await waiting) == ["late"]
        with pytest.raises(Unavailable, match="Pub/Sub"):
            await queue._hide_handles(BATCH, [again[0].token], -1)
        await queue._make(BATCH)


@pytest.mark.parametrize("server", [pubsub_server, googles])
async def test_google_sets_aside(
    server: Callable[[ManualClock], AbstractAsyncContextManager[object]], clock: ManualClock
) -> None:
    async with server(clock), opened(clock) as queue:
        await queue.send([message("a")])
        for _ in range(int(PUBSUB.deliveries)):
            given = await queue.receive([BATCH], limit=5, lease_s=30, wait_s=10)
            assert names(given) == ["a"]
            await queue.give_back(given)
        assert await queue.receive([BATCH], limit=5, lease_s=30, wait_s=2) == []
        found = await look_aside(queue)
        assert names(found) == ["a"]
        await queue.discard(BATCH, found)


async def test_a_message_may_be_delayed_for_longer_than_pubsub_can_hide(
    queue: PubsubQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")], delay_s=2.5 * MAX_HIDE_S)
    for _ in range(3):
        assert await queue.receive([BATCH], limit=1, lease_s=10) == []
        clock.advance(MAX_HIDE_S)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_what_was_given_back_comes_after_ten_minutes_at_the_latest(
    queue: PubsubQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    await queue.give_back(await queue.receive([BATCH], limit=1, lease_s=10), delay_s=86_400)
    clock.advance(MAX_HIDE_S - 1)
    assert await queue.receive([BATCH], limit=1, lease_s=10) == []
    clock.advance(1)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_what_another_process_leased_does_not_hold_here(
    queue: PubsubQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=10)
    stranger = Lease(lease.message, LeaseToken("of somebody else"))
    assert await queue.extend([stranger], lease_s=10) == []
    await queue.ack([stranger])
    clock.advance(10)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_what_took_too_long_to_come_is_not_held(
    queue: PubsubQueue, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.send([message("a")])
    pull = queue._pull

    async def slowly(*arguments: Any, **more: Any) -> Any:
        received = await pull(*arguments, **more)
        clock.advance(RECEIVED_S)
        return received

    with monkeypatch.context() as patch:
        patch.setattr(queue, "_pull", slowly)
        assert await queue.receive([BATCH], limit=1, lease_s=10) == []
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_a_poll_that_nobody_waited_for_is_taken_up_again(queue: PubsubQueue) -> None:
    assert await queue.receive([INTERACTIVE, BATCH], limit=3, lease_s=10, wait_s=0.1) == []
    begun = set(queue._strays)
    assert len(begun) == 2
    waiting = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=10, wait_s=5))
    while len(queue._strays) > 1:  # noqa: ASYNC110 - taken up in some later turn
        await asyncio.sleep(0.01)
    await queue.send([message("a"), message("b", INTERACTIVE)])
    assert names(await waiting) == ["a"]
    # Nobody waited for the other lane, whose poll gave back what it caught.
    await asyncio.wait(queue._returns, timeout=5)
    assert names(await queue.receive([INTERACTIVE], limit=1, lease_s=10)) == ["b"]


async def test_a_poll_asks_again_when_pubsub_no_longer_waits(
    queue: PubsubQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.adapters.gcp.queue.PULL_S", PULL_S / 100)
    waiting = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=10, wait_s=10))
    await asyncio.sleep(0.5)
    await queue.send([message("a")])
    assert names(await waiting) == ["a"]


async def test_a_message_that_cannot_be_read_costs_the_others_nothing(
    queue: PubsubQueue, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a")])
    foreign = [{"data": b"not ours"}, {"data": b'{"message":{"job_id":"\xff"}}'}]
    await queue._publisher.publish(topic=queue._topic(BATCH), messages=foreign)
    assert names(await queue.receive([BATCH], limit=10, lease_s=10)) == ["a"]
    assert "cannot be read: b'not ours'" in caplog.text
    assert caplog.text.count("cannot be read") == 2


async def test_what_waits_is_anybodys_and_is_asked_for_rarely(
    queue: PubsubQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await queue.backlog(BATCH) == {}
    await queue.send([message("a", tokens=10)])
    assert await queue.backlog(BATCH) == {}
    monkeypatch.setattr(counts, "HOLDS_S", 0)
    backlog = await queue.backlog(BATCH)
    assert backlog[ANYBODY].jobs == 1
    assert 10 < backlog[ANYBODY].work_tokens < 500


async def test_a_count_that_is_not_known_is_not_zero(queue: PubsubQueue) -> None:
    with pytest.raises(Unavailable, match="no count: nothing yet"):
        await queue._counts.of("nothing")
    queue._counts._project = "other/subscriptions"
    with pytest.raises(Unavailable, match="Cloud Monitoring"):
        await queue._counts.of('"')


@pytest.mark.parametrize("server", [pubsub_server, googles])
async def test_a_lane_whose_topic_was_deleted_is_made_again(
    server: Callable[[ManualClock], AbstractAsyncContextManager[object]], clock: ManualClock
) -> None:
    place = Place("test-project", next(_prefixes))
    async with server(clock):
        async with open_queue(place, clock) as queue:
            await queue.send([message("a")])
            await queue._publisher.delete_topic(topic=queue._topic(BATCH))
            with pytest.raises(Unavailable) as raised:
                await queue.send([message("b")])
            assert raised.value.code == "pubsub_unavailable"
            await queue.send([message("c")])
            assert names(await queue.receive([BATCH], limit=9, lease_s=30, wait_s=10)) == ["c"]
            await queue._publisher.delete_topic(topic=queue._topic(BATCH))
        async with open_queue(place, clock) as queue:
            await queue.send([message("d")])
            assert names(await queue.receive([BATCH], limit=9, lease_s=30, wait_s=10)) == ["d"]


async def test_a_lane_whose_subscription_was_deleted_is_made_again(
    queue: PubsubQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await queue.send([message("a")])
    gone = queue._subscription(BATCH)
    await queue._subscriber.delete_subscription(subscription=gone)
    with pytest.raises(Unavailable, match="not found"):
        await queue.receive([BATCH], limit=1, lease_s=10)
    assert await queue.receive([BATCH], limit=1, lease_s=10) == []
    await queue.send([message("b")])
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["b"]
    told = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("Pub/Sub had no subscription ") for line in told) == 2


async def test_a_lane_that_somebody_else_makes_meanwhile_is_made_once(
    queue: PubsubQueue, clock: ManualClock
) -> None:
    async with open_queue(queue._place, clock) as other:
        await asyncio.gather(queue.send([message("a")]), other.send([message("b")]))
        await other._create(BATCH)


async def test_names_that_pubsub_does_not_take_are_unavailable(clock: ManualClock) -> None:
    async with pubsub_server(clock), open_queue(Place("test-project", "goog"), clock) as queue:
        with pytest.raises(Unavailable, match="is no name"):
            await queue.send([message("a")])


async def test_a_server_that_is_away_is_unavailable(clock: ManualClock) -> None:
    async with pubsub_server(clock):
        nobody = opened(clock)
        queue = await nobody.__aenter__()
        await queue.send([message("a")])
        queue._made.discard(INTERACTIVE)
    for call in (
        queue.receive([BATCH], limit=1, lease_s=10),
        queue.receive([INTERACTIVE], limit=1, lease_s=10),
    ):
        with pytest.raises(Unavailable):
            await call
    await nobody.__aexit__(None, None, None)


async def test_nobody_has_no_queue(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    with pytest.raises(SettingsError, match="Google Cloud does not know who this is"):
        async with opened(clock):
            pass


async def test_a_job_costs_five_calls_of_which_two_are_billed(clock: ManualClock) -> None:
    """As docs/backends.md reckons them: published and pulled is what is billed."""
    async with pubsub_server(clock) as server, opened(clock) as queue:
        await queue.receive([BATCH], limit=1, lease_s=30)
        server.calls.clear()
        await queue.send([message("a")])
        leases = await queue.receive([BATCH], limit=1, lease_s=30)
        await queue.extend(leases, lease_s=30)
        await queue.ack(leases)
        assert server.calls == {"Publish": 1, "Pull": 1, "ModifyAckDeadline": 2, "Acknowledge": 1}
