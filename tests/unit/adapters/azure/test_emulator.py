"""The emulator of Service Bus does what Microsoft Learn says, as its official clients see it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError, MessagingEntityNotFoundError

from headpond.adapters.azure.namespaces import Namespace, open_namespace, place_of
from headpond.testing.clocks import ManualClock
from tests.emulators.servicebus_server import ServiceBus

LOCK = timedelta(seconds=30)


@pytest.fixture
async def namespace(server: ServiceBus) -> AsyncIterator[Namespace]:
    """With a queue `q`, whose messages are dead after three deliveries."""
    async with open_namespace(place_of(server.url("unused"))) as namespace:
        await namespace.administration.create_queue("q", lock_duration=LOCK, max_delivery_count=3)
        yield namespace


@pytest.fixture
async def receiver(namespace: Namespace) -> AsyncIterator[ServiceBusReceiver]:
    async with namespace.messages.get_queue_receiver("q", socket_timeout=0.05) as receiver:
        yield receiver


async def send(namespace: Namespace, *bodies: str) -> None:
    async with namespace.messages.get_queue_sender("q", socket_timeout=0.05) as sender:
        await sender.send_messages([ServiceBusMessage(body) for body in bodies])


async def received(receiver: ServiceBusReceiver, most: int = 1) -> list[ServiceBusReceivedMessage]:
    return await receiver.receive_messages(max_message_count=most, max_wait_time=0.5)


async def test_a_batch_is_many_messages_in_their_order(
    namespace: Namespace, receiver: ServiceBusReceiver
) -> None:
    await send(namespace, "a", "b", "c")
    messages = await received(receiver, 3)
    assert [str(message) for message in messages] == ["a", "b", "c"]
    numbers = [message.sequence_number or 0 for message in messages]
    assert numbers == sorted(numbers)
    assert not messages[0].delivery_count


async def test_a_lock_holds_until_it_passes_and_a_delivery_is_counted(
    namespace: Namespace, receiver: ServiceBusReceiver, clock: ManualClock
) -> None:
    await send(namespace, "a")
    (first,) = await received(receiver)
    assert (
        first.locked_until_utc == datetime.fromtimestamp(int(clock.now() * 1000) / 1000, UTC) + LOCK
    )
    clock.advance(29)
    assert await received(receiver) == []
    await receiver.renew_message_lock(first)
    clock.advance(29)
    assert await received(receiver) == []
    clock.advance(1)
    (second,) = await received(receiver)
    assert second.delivery_count == 1
    assert second.lock_token != first.lock_token
    for lost in (receiver.renew_message_lock(first), receiver.complete_message(first)):
        with pytest.raises(MessageLockLostError):
            await lost
    await receiver.complete_message(second)
    assert await received(receiver) == []


async def test_too_many_deliveries_make_a_dead_letter(
    namespace: Namespace, receiver: ServiceBusReceiver
) -> None:
    await send(namespace, "a")
    for count in range(3):
        (message,) = await received(receiver)
        assert (message.delivery_count or 0) == count
        await receiver.abandon_message(message)
    assert await received(receiver) == []
    await send(namespace, "b")
    (message,) = await received(receiver)
    await receiver.dead_letter_message(message, reason="why", error_description="how")
    dead = namespace.messages.get_queue_receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    async with dead:
        letters = await received(dead, 2)
        said = [(str(letter), letter.dead_letter_reason) for letter in letters]
        assert said == [("a", "MaxDeliveryCountExceeded"), ("b", "why")]
        assert letters[1].dead_letter_error_description == "how"
    counts = await namespace.administration.get_queue_runtime_properties("q")
    assert counts.dead_letter_message_count == 2


async def test_what_a_closing_link_releases_counts_no_delivery(namespace: Namespace) -> None:
    async with namespace.messages.get_queue_receiver("q", socket_timeout=0.05) as first:
        await received(first, 2)
        await send(namespace, "a")
    async with namespace.messages.get_queue_receiver("q", socket_timeout=0.05) as second:
        (message,) = await received(second)
        assert not message.delivery_count


async def test_a_lock_is_settled_over_another_link(
    namespace: Namespace, receiver: ServiceBusReceiver, server: ServiceBus, clock: ManualClock
) -> None:
    await send(namespace, "a", "b")
    first, second = await received(receiver, 2)
    async with namespace.messages.get_queue_receiver("q", socket_timeout=0.05) as other:
        await other.complete_message(first)
        await other.abandon_message(second)
        assert server.broker.calls["update-disposition"] == 2
        (again,) = await received(other)
        assert str(again) == "b"
        clock.advance(30)
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(again)


async def test_what_is_scheduled_is_counted_apart_and_gets_a_number_of_its_own(
    namespace: Namespace, receiver: ServiceBusReceiver, clock: ManualClock
) -> None:
    async with namespace.messages.get_queue_sender("q", socket_timeout=0.05) as sender:
        due = datetime.fromtimestamp(clock.now() + 60, UTC)
        numbers = await sender.schedule_messages(
            [ServiceBusMessage("a"), ServiceBusMessage("b")], due
        )
        await sender.cancel_scheduled_messages(numbers[1])
    await send(namespace, "now")
    (now,) = await received(receiver)
    counts = await namespace.administration.get_queue_runtime_properties("q")
    assert (counts.active_message_count, counts.scheduled_message_count) == (1, 1)
    peeked = await receiver.peek_messages(5, sequence_number=1)
    assert [str(message) for message in peeked] == ["a", "now"]
    clock.advance(60)
    later, again = await received(receiver, 2)
    assert [str(later), str(again)] == ["now", "a"]
    assert (again.sequence_number or 0) > (now.sequence_number or 0)
    assert await receiver.peek_messages(1, sequence_number=1000) == []


async def test_a_queue_that_is_not_there_is_told(namespace: Namespace) -> None:
    with pytest.raises(MessagingEntityNotFoundError):
        await namespace.messages.get_queue_receiver("nope").__aenter__()
    with pytest.raises(ResourceNotFoundError):
        await namespace.administration.get_queue("nope")


async def test_a_queue_is_made_once_and_changed(namespace: Namespace) -> None:
    administration = namespace.administration
    made = await administration.get_queue("Q")
    assert (made.lock_duration, made.max_delivery_count) == (LOCK, 3)
    with pytest.raises(ResourceExistsError):
        await administration.create_queue("q")
    made.lock_duration = timedelta(minutes=5)
    await administration.update_queue(made)
    assert (await administration.get_queue("q")).lock_duration == timedelta(minutes=5)
    for wrong in (timedelta(minutes=5, seconds=1), timedelta()):
        with pytest.raises(HttpResponseError, match="not a queue that there can be"):
            await administration.create_queue("other", lock_duration=wrong)
    made.name = "gone"
    with pytest.raises(ResourceNotFoundError):
        await administration.update_queue(made)


async def test_administration_is_believed_only_by_who_knows_its_authority(
    server: ServiceBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with open_namespace(place_of(server.url("unused"))) as namespace:
        with pytest.raises(ServiceRequestError):
            await namespace.administration.get_queue("q")
