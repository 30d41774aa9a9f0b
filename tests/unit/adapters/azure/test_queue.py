"""What is particular to lanes in Service Bus."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.amqp import AmqpAnnotatedMessage

from headpond.adapters.azure import links
from headpond.adapters.azure.links import AT_ONCE, Received, ReceivingLinks
from headpond.adapters.azure.namespaces import Place, open_namespace, place_of
from headpond.adapters.azure.queue import (
    DELIVERIES,
    LONGEST_LOCK,
    POLL_S,
    UNREADABLE_AFTER,
    ServiceBusQueue,
    open_queue,
)
from headpond.domain.lane import Priority
from headpond.domain.quote import ANYBODY
from headpond.errors import SettingsError, Unavailable
from headpond.ports.queue import Depth, Lease, LeaseToken
from headpond.services.worker.pulling import WAIT_S
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letter_queue_suite import look_aside
from headpond.testing.queue_suite import BATCH, INTERACTIVE, message, names
from tests.emulators.servicebus_broker import Queue
from tests.emulators.servicebus_server import ServiceBus

LANE = "pond-default-batch"
YEAR_S = 365 * 86_400.0


async def all_of(queue: ServiceBusQueue, number: int) -> list[Lease]:
    """So many: a receipt takes what comes without a gap."""
    leases: list[Lease] = []
    while len(leases) < number:
        leases += await queue.receive([BATCH], limit=2 * AT_ONCE, lease_s=60, wait_s=1)
    return leases


async def test_messages_go_in_calls_of_a_hundred_both_ways(
    queue: ServiceBusQueue, server: ServiceBus
) -> None:
    sent = [f"job-{number}" for number in range(AT_ONCE + 3)]
    await queue.send([message(name) for name in sent])
    leases = await all_of(queue, len(sent))
    assert sorted(names(leases)) == sorted(sent)
    assert server.broker.calls["Send"] == 2
    await queue.ack(leases)
    assert await queue.depth(BATCH) == Depth(0, 0, 0)


async def test_what_is_sent_meanwhile_goes_together_with_the_next(
    queue: ServiceBusQueue, server: ServiceBus
) -> None:
    await queue.send([message("first")])
    server.broker.calls.clear()
    sent = [message(f"job-{number}") for number in range(AT_ONCE + 10)]
    waiting = asyncio.gather(*(queue.send([each]) for each in sent))
    late = asyncio.create_task(queue.send([message("changed its mind")], delay_s=60))
    while len(queue._senders[BATCH]._asked) < AT_ONCE + 10:  # noqa: ASYNC110 - in some later turn
        await asyncio.sleep(0)
    late.cancel()
    await waiting
    assert server.broker.calls["Send"] == 3
    assert len(await all_of(queue, len(sent) + 1)) == len(sent) + 1
    assert (await queue.depth(BATCH)).delayed == 0


async def test_what_goes_together_fails_together(
    queue: ServiceBusQueue, server: ServiceBus
) -> None:
    await queue.send([message("first")])
    await asyncio.to_thread(server.links.drop)
    sending = [queue.send([message(f"job-{number}")]) for number in range(5)]
    failed = await asyncio.gather(*sending, return_exceptions=True)
    # The first went alone, and the others over a new link.
    assert [type(each) for each in failed] == [Unavailable, *[type(None)] * 4]


async def test_a_message_may_be_delayed_for_as_long_as_one_likes(
    queue: ServiceBusQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")], delay_s=YEAR_S)
    clock.advance(YEAR_S - 1)
    assert await queue.receive([BATCH], limit=1, lease_s=10) == []
    clock.advance(1)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_what_is_given_back_with_a_delay_is_scheduled(
    queue: ServiceBusQueue, clock: ManualClock, server: ServiceBus
) -> None:
    await queue.send([message("a", tokens=7)])
    leases = await queue.receive([BATCH], limit=1, lease_s=10)
    assert await queue.depth(BATCH) == Depth(ready=1, leased=0, delayed=0)
    await queue.give_back(leases, delay_s=60)
    assert await queue.depth(BATCH) == Depth(ready=0, leased=0, delayed=1)
    clock.advance(60)
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=10)
    assert lease.message == leases[0].message
    assert server.broker.calls["Abandon"] == 0


async def test_locks_last_as_long_as_the_leases_of_whoever_receives(
    queue: ServiceBusQueue, server: ServiceBus
) -> None:
    server.broker.make(Queue(LANE, lock_s=60, max_deliveries=10))
    made = server.broker.queues[LANE]
    await queue.send([message("a")])
    assert (made.lock_s, made.max_deliveries) == (60, 10)
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=29.5)
    assert (made.lock_s, made.max_deliveries) == (30, DELIVERIES)
    await queue.give_back([lease])
    await queue.receive([BATCH], limit=1, lease_s=29.5)
    await queue.receive([BATCH], limit=1, lease_s=200)
    assert made.lock_s == 200
    assert server.broker.calls["UpdateQueue"] == 2


async def test_service_bus_refuses_a_lock_that_is_lost(
    queue: ServiceBusQueue, other: ServiceBusQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    leases = await queue.receive([BATCH], limit=1, lease_s=10)
    clock.advance(10)
    (theirs,) = await other.receive([BATCH], limit=1, lease_s=10)
    # As if the clock of this process had stood.
    queue._leases.begin(leases[0], clock.now(), clock.now() + 10)
    assert await queue.extend(leases, lease_s=10) == []
    await queue.ack(leases)
    assert await other.extend([theirs], lease_s=10) == [theirs]


async def test_what_another_process_leased_does_not_hold_here(
    queue: ServiceBusQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=10)
    stranger = Lease(lease.message, LeaseToken("of somebody else"))
    assert await queue.extend([stranger], lease_s=10) == []
    await queue.ack([stranger])
    clock.advance(10)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]


async def test_who_found_nothing_takes_nothing_from_others(
    queue: ServiceBusQueue, other: ServiceBusQueue
) -> None:
    await other.receive([BATCH], limit=1, lease_s=10)
    assert await queue.receive([BATCH], limit=100, lease_s=10) == []
    await other.send([message("a"), message("b")])
    assert len(await other.receive([BATCH], limit=10, lease_s=10)) == 2


async def test_a_poll_that_nobody_waited_for_is_taken_up_again(queue: ServiceBusQueue) -> None:
    assert await queue.receive([INTERACTIVE, BATCH], limit=3, lease_s=10, wait_s=0.1) == []
    assert len(queue._strays) == 2
    waiting = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=10, wait_s=5))
    while len(queue._strays) > 1:  # noqa: ASYNC110 - taken up in some later turn
        await asyncio.sleep(0.01)
    await queue.send([message("a"), message("b", INTERACTIVE)])
    assert names(await waiting) == ["a"]
    # Nobody waited for the other lane, whose poll gave back what it caught.
    await asyncio.gather(*queue._returns)
    assert names(await queue.receive([INTERACTIVE], limit=1, lease_s=10)) == ["b"]


async def test_a_connection_may_be_cut_under_who_waits(
    queue: ServiceBusQueue, server: ServiceBus
) -> None:
    await queue.send([message("first")])
    await queue.ack(await queue.receive([BATCH], limit=1, lease_s=30))
    waiting = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=30, wait_s=30))
    while not queue._receivers[BATCH]._waiting:  # noqa: ASYNC110 - in some later turn
        await asyncio.sleep(0.01)
    await asyncio.to_thread(server.links.drop)
    with pytest.raises(Unavailable):
        await queue.send([message("lost")])
    await queue.send([message("a")])
    assert names(await waiting) == ["a"]


async def test_a_connection_may_be_cut_under_who_settles(
    queue: ServiceBusQueue, server: ServiceBus, clock: ManualClock
) -> None:
    await queue.send([message("a"), message("b"), message("c")])
    leases = await queue.receive([BATCH], limit=3, lease_s=30)
    await asyncio.to_thread(server.links.drop)
    await queue.ack(leases[:1])
    assert await queue.extend(leases[1:], lease_s=30) == leases[1:]
    await queue.give_back(leases[1:2])
    assert server.broker.calls["update-disposition"] == 2
    again = await queue.receive([BATCH], limit=3, lease_s=30)
    assert names(again) == names(leases[1:2])
    # Settled over the new link, and beside it what came by the old one.
    await queue.ack([*again, *leases[2:]])
    assert server.broker.calls["Complete"] == 1
    clock.advance(30)
    assert await queue.receive([BATCH], limit=3, lease_s=30) == []


async def test_what_is_settled_cannot_be_settled_again(queue: ServiceBusQueue) -> None:
    await queue.send([message("a")])
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=30)
    links, received = queue._receivers[BATCH], queue._held[lease.token]
    assert await links.complete(received)
    assert not await links.abandon(received)


async def test_what_came_too_late_for_a_poll_is_not_handed_out_once_its_lock_is_over(
    queue: ServiceBusQueue, server: ServiceBus, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    # The machine's clock is beyond the end of the lock then.
    clock.advance(-7200)
    assert await queue.receive([BATCH], limit=1, lease_s=30) == []
    clock.advance(7200)
    assert names(await queue.receive([BATCH], limit=1, lease_s=30)) == ["a"]
    assert server.broker.calls["Receive"] == 2


async def test_a_link_that_was_idle_for_long_is_replaced_before_it_is_used(
    queue: ServiceBusQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.send([message("a")])
    used = queue._senders[BATCH]._link.open
    await queue.send([message("b")])
    assert queue._senders[BATCH]._link.open is used
    monkeypatch.setattr(links, "IDLE_S", 0)
    await queue.send([message("c")])
    assert queue._senders[BATCH]._link.open is not used
    assert len(await queue.receive([BATCH], limit=3, lease_s=10)) == 3


async def test_what_is_cut_off_is_not_used_again(
    queue: ServiceBusQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.send([message("a")])
    link, begun = queue._senders[BATCH]._link, asyncio.Event()
    used = link.open
    assert used is not None

    async def halfway(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(used, "send_messages", halfway)
    sending = asyncio.create_task(queue.send([message("b")]))
    await begun.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert link.open is None
    await queue.send([message("c")])
    assert len(await queue.receive([BATCH], limit=3, lease_s=10)) == 2


async def test_a_message_that_cannot_be_read_costs_the_others_nothing(
    queue: ServiceBusQueue, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a")])
    async with queue._namespace.messages.get_queue_sender(LANE) as sender:
        for foreign in (
            ServiceBusMessage("not ours"),
            ServiceBusMessage(b'{"message":{"job_id":"\xff"}}'),
            ServiceBusMessage(b'{"more":' + b"[" * 100_000),
            AmqpAnnotatedMessage(value_body="text of JMS"),
            AmqpAnnotatedMessage(sequence_body=[[1, 2]]),
        ):
            await sender.send_messages(foreign)
    await queue.send([message("b")])
    assert names(await all_of(queue, 2)) == ["a", "b"]
    assert caplog.text.count("cannot be read") == 5
    assert "cannot be read: b'not ours'" in caplog.text
    assert "cannot be read: AmqpMessageBodyType.VALUE: b'text of JMS'" in caplog.text


async def test_what_waits_is_anybodys_and_its_work_is_reckoned(queue: ServiceBusQueue) -> None:
    assert await queue.backlog(BATCH) == {}
    await queue.send([message("a", tokens=10)])
    backlog = await queue.backlog(BATCH)
    assert backlog[ANYBODY].jobs == 1
    assert 10 < backlog[ANYBODY].work_tokens < 500


async def test_what_cannot_be_read_is_set_aside_with_a_reason(
    queue: ServiceBusQueue, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.depth(BATCH)
    async with queue._namespace.messages.get_queue_sender(LANE) as sender:
        await sender.send_messages(ServiceBusMessage("not ours"))
    for _ in range(UNREADABLE_AFTER):
        assert await queue.receive([BATCH], limit=1, lease_s=10) == []
        clock.advance(10)
    properties = queue._namespace.administration.get_queue_runtime_properties
    assert (await properties(LANE)).dead_letter_message_count == 0
    assert await queue.receive([BATCH], limit=1, lease_s=10) == []
    assert (await properties(LANE)).dead_letter_message_count == 1
    for _ in range(2):
        assert await look_aside(queue) == []
        clock.advance(LONGEST_LOCK.total_seconds())
    assert caplog.text.count("cannot be read: b'not ours'") == 1
    async with queue._namespace.messages.get_queue_receiver(
        LANE, sub_queue=ServiceBusSubQueue.DEAD_LETTER
    ) as receiver:
        (letter,) = await receiver.receive_messages(max_wait_time=5)
        assert (str(letter), letter.dead_letter_reason) == ("not ours", "unreadable")


async def test_what_could_not_be_set_aside_keeps_nobody_from_the_others(
    queue: ServiceBusQueue, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.depth(BATCH)
    async with queue._namespace.messages.get_queue_sender(LANE) as sender:
        await sender.send_messages(ServiceBusMessage("not ours"))

    async def failing(*_: object) -> bool:
        raise Unavailable("not now", code="servicebus_unavailable")

    monkeypatch.setattr(ReceivingLinks, "bury", failing)
    for _ in range(UNREADABLE_AFTER + 1):
        assert await queue.receive([BATCH], limit=1, lease_s=10) == []
        clock.advance(10)
    await queue.send([message("a")])
    assert names(await queue.receive([BATCH], limit=5, lease_s=10)) == ["a"]


async def test_what_may_come_twice_is_told_and_not_sent_again(
    queue: ServiceBusQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a")])
    leases = await queue.receive([BATCH], limit=1, lease_s=10)

    async def failing(_: ReceivingLinks, received: Received) -> bool:
        raise Unavailable(f"not {received.token}", code="servicebus_unavailable")

    monkeypatch.setattr(ReceivingLinks, "complete", failing)
    await queue.give_back(leases, delay_s=60)
    assert f"1 messages of default/batch may come twice: not {leases[0].token}" in caplog.text
    assert await queue.depth(BATCH) == Depth(ready=1, leased=0, delayed=1)


async def test_what_lost_its_lock_before_it_was_completed_may_come_twice(
    queue: ServiceBusQueue, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send([message("a")])
    leases = await queue.receive([BATCH], limit=1, lease_s=10)
    clock.advance(10)
    # As if the clock of this process had stood.
    queue._leases.begin(leases[0], clock.now(), clock.now() + 10)
    await queue.give_back(leases, delay_s=60)
    assert "1 messages of default/batch may come twice: its lock was lost" in caplog.text
    assert await queue.depth(BATCH) == Depth(ready=1, leased=0, delayed=1)


async def test_a_lock_that_is_not_renewed_for_once_costs_the_others_nothing(
    queue: ServiceBusQueue,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await queue.send([message("a"), message("b")])
    first, second = await all_of(queue, 2)
    renew = ReceivingLinks.renew

    async def failing(links: ReceivingLinks, received: Received) -> bool:
        if received.token == first.token:
            raise Unavailable("not now", code="servicebus_unavailable")
        return await renew(links, received)

    monkeypatch.setattr(ReceivingLinks, "renew", failing)
    clock.advance(40)
    assert set(await queue.extend([first, second], lease_s=60)) == {first, second}
    assert "1 of 2 locks could not be renewed for now" in caplog.text
    with pytest.raises(Unavailable, match="not now"):
        await queue.extend([first], lease_s=60)
    clock.advance(20)
    assert await queue.extend([first, second], lease_s=60) == [second]
    clock.advance(59)
    await queue.ack([second])
    assert names(await queue.receive([BATCH], limit=2, lease_s=60)) == names([first])


@pytest.mark.parametrize("asks", ["send", "receive", "depth"])
async def test_a_lane_that_is_gone_is_unavailable_and_then_made_again(
    queue: ServiceBusQueue, server: ServiceBus, asks: str
) -> None:
    calls = {
        "send": lambda: queue.send([message("b")]),
        "receive": lambda: queue.receive([BATCH], limit=1, lease_s=10),
        "depth": lambda: queue.depth(BATCH),
    }
    await queue.send([message("a")])
    leases = await queue.receive([BATCH], limit=1, lease_s=10)
    server.broker.remove(LANE)
    await asyncio.to_thread(server.links.drop)
    for call in (lambda: queue.extend(leases, lease_s=10), calls[asks]):
        with pytest.raises(Unavailable) as raised:
            await call()
        assert raised.value.code == "servicebus_unavailable"
    # A sender may have met no more than a broken link by then.
    for _ in range(2):
        with contextlib.suppress(Unavailable):
            await calls[asks]()
    assert LANE in server.broker.queues


async def test_who_sends_alone_makes_locks_that_are_long_enough_for_everybody(
    queue: ServiceBusQueue, server: ServiceBus
) -> None:
    await queue.send([message("a")])
    assert server.broker.queues[LANE].lock_s == 300


async def test_a_lane_that_two_make_at_once_is_made_once(
    queue: ServiceBusQueue, other: ServiceBusQueue, server: ServiceBus
) -> None:
    await asyncio.gather(queue.send([message("a")]), other.send([message("b")]))
    assert server.broker.calls["CreateQueue"] in {1, 2}
    assert len(await queue.receive([BATCH], limit=2, lease_s=10)) == 2


async def test_nobody_has_no_queue(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    for variable in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    async with open_queue(Place("nowhere.invalid", "pond"), clock) as queue:
        with pytest.raises(Unavailable, match="EnvironmentCredential"):
            await queue.send([message("a")])


async def test_a_job_costs_four_operations(queue: ServiceBusQueue, server: ServiceBus) -> None:
    """As docs/backends.md reckons them."""
    await queue.receive([BATCH], limit=1, lease_s=30)
    server.broker.calls.clear()
    await queue.send([message("a")])
    leases = await queue.receive([BATCH], limit=1, lease_s=30)
    await queue.extend(leases, lease_s=30)
    await queue.ack(leases)
    assert server.broker.calls == {"Send": 1, "Receive": 1, "renew-lock": 1, "Complete": 1}


def test_a_worker_with_nothing_to_do_costs_what_the_page_says() -> None:
    page = (Path(__file__).parents[4] / "docs" / "backends.md").read_text()
    polls = len(Priority) * 30 * 86_400 / min(WAIT_S, POLL_S)
    assert f"with two lanes {polls / 1e6:.1f} million operations a month" in page


def test_a_place_is_a_namespace_a_prefix_and_who_we_are() -> None:
    host = "ns.servicebus.windows.net"
    assert place_of(f"servicebus://{host}/pond") == Place(host, "pond")
    assert place_of(f"servicebus://me:a/b+c=@{host}/pond") == Place(host, "pond", "me:a/b+c=")
    assert place_of(f"servicebus://me:a%2Fb@{host}/pond") == Place(host, "pond", "me:a/b")
    emulated = place_of("servicebus://me:k@localhost:5672/pond?emulator=localhost:5300")
    assert emulated == Place("localhost:5672", "pond", "me:k", "localhost:5300")


@pytest.mark.parametrize(
    "url", [f"servicebus://{rest}" for rest in ("", "ns", "ns/", "ns/a/b", "ns/a?x=y")]
)
def test_what_names_no_place_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        place_of(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("servicebus://a:b@pond/x?emulator=[", "Invalid IPv6 URL"),
        ("servicebus://secret@pond/x", "both SharedAccessKeyName"),
    ],
)
async def test_a_namespace_that_cannot_be_is_told(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"Service Bus cannot be used .*{words}") as raised:
        async with open_namespace(place_of(url)):
            pass
    assert "secret" not in str(raised.value)
