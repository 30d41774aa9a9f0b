"""The links of a lane: over one messages are sent, over one they come, over one they are held.

The SDK does not share a sender or a receiver between coroutines ("concurrency-safe manner", its
README): requests that cross each other break their connection. Each has a connection of its own. So
what transfers something goes one after the other, and what has failed is not used again; a new one
takes its place. Polls and settlements transfer nothing.

AMQP settles a message over the link that it came by. Once that is gone the SDK settles by the
lock's token at the queue's `$management` node, which takes it from anybody. Locks are renewed
there, too, over a link beside that of the polls, whose waiting would hold them up.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError

from headpond.adapters.azure.namespaces import CALL_S
from headpond.errors import Unavailable

NOW_S = 0.2
"""How long a lane is asked that nobody waits for: until what it has would have come."""

READ_S = 0.05
"""A read of the SDK, for which what is to be written waits."""

IDLE_S = 300.0
"""Service Bus detaches a link that was idle for ten minutes, and tells that to the next call.

"AMQP errors in Azure Service Bus", Microsoft Learn.
"""

AT_ONCE = 100
GROUP_BYTES, AROUND_BYTES = 200_000, 500
"""Messages of one call: it takes 256 KB, of which there is something around each."""

CLOSE_S = 0.5
"""What is to be said when it closes goes at once; then the SDK would wait for its own clock."""

FAILURES = (AzureError, OSError, TimeoutError, ValueError)
"""What the SDK raises: ValueError where something was closed under its hands."""

H = TypeVar("H", ServiceBusSender, ServiceBusReceiver)
T = TypeVar("T")


class Link(Generic[H]):
    """One of the SDK's, opened when it is first used, and replaced when it has failed."""

    def __init__(self, make: Callable[[], H]) -> None:
        self._make = make
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.open: H | None = None
        self._connection: Any = None

    async def call(self, call: Callable[[H], Awaitable[T]], *, within_s: float = CALL_S) -> T:
        """Raises Unavailable, and MessageLockLostError."""
        used = None
        try:
            async with asyncio.timeout(within_s):
                used = await self._opened()
                return await call(used)
        except MessageAlreadySettled as error:
            raise MessageLockLostError from error
        except MessageLockLostError:
            raise
        except BaseException as error:
            # What was cut off may have left half of something.
            if used is not None:
                self.drop(used)
            if isinstance(error, FAILURES):
                raise unavailable(error) from error
            raise

    async def call_again(self, call: Callable[[H], Awaitable[T]], *, within_s: float = CALL_S) -> T:
        """What fails is tried once more over a new link."""
        try:
            return await self.call(call, within_s=within_s)
        except Unavailable:
            return await self.call(call, within_s=within_s)

    def drop(self, used: H) -> None:
        """Do not use it again."""
        if self.open is used:
            self.open = None
            closing = asyncio.create_task(_close(used, self._connection))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """What came and was not handed on goes back."""
        if self.open is not None:
            self.drop(self.open)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _opened(self) -> H:
        async with self._opening:
            if self.open is not None:
                return self.open
            made = self._make()
            await made.__aenter__()
            inner: Any = made
            self.open, self._connection = made, inner._handler._connection  # noqa: SLF001
            return made


@dataclass(eq=False, slots=True)
class _Asked:
    """Messages of one call, to be received once they are `due`, and what became of them."""

    bodies: Sequence[bytes]
    due: float | None
    done: bool = False
    error: Unavailable | None = None


class SendingLink:
    """Sends one call after the other, none of them twice.

    What is asked for while one is on its way goes together with the next.
    """

    def __init__(self, client: ServiceBusClient, queue: str) -> None:
        self._link = Link(lambda: client.get_queue_sender(queue, socket_timeout=READ_S))
        self._turn = asyncio.Lock()
        self._asked: list[_Asked] = []
        self._used_s = 0.0

    async def send(self, bodies: Sequence[bytes], due: float | None) -> None:
        """To be received once they are due, in Unix seconds. Raises Unavailable."""
        asked = _Asked(bodies, due)
        self._asked.append(asked)
        try:
            async with self._turn:
                if not asked.done:
                    await self._send_next()
        finally:
            if asked in self._asked:
                self._asked.remove(asked)
        if asked.error is not None:
            raise asked.error

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()

    async def _send_next(self) -> None:
        """What was asked for first, with what may go together with it."""
        group = _together(self._asked)
        del self._asked[: len(group)]
        messages = [ServiceBusMessage(body) for asked in group for body in asked.bodies]
        now_s = asyncio.get_running_loop().time()
        if self._link.open is not None and now_s - self._used_s > IDLE_S:
            self._link.drop(self._link.open)
        self._used_s = now_s
        error = unavailable(TimeoutError("cut off on the way"))
        try:
            await self._link.call(lambda sender: _send(sender, messages, group[0].due))
        except Unavailable as failed:
            error = failed
        else:
            error = None
        finally:
            for asked in group:
                asked.done, asked.error = True, error


@dataclass(frozen=True, slots=True)
class Received:
    """A message, its lock's token, and the receiver that it came by."""

    token: str
    message: ServiceBusReceivedMessage
    by: ServiceBusReceiver

    @property
    def locked(self) -> bool:
        """Whether its lock lasts, by the machine's clock."""
        until = self.message.locked_until_utc
        return until is not None and datetime.now(UTC) < until

    @property
    def body(self) -> bytes | str:
        """As it was sent; what is no data was not sent by us, and is told in words."""
        body = self.message.body
        if self.message.body_type is AmqpMessageBodyType.DATA:
            return b"".join(body)
        return f"{self.message.body_type}: {body!r}"


class ReceivingLinks:
    """Where messages of a lane come, or its dead letters, and where their locks are held.

    All raise Unavailable.
    """

    def __init__(
        self, client: ServiceBusClient, queue: str, sub_queue: ServiceBusSubQueue | None = None
    ) -> None:
        def make() -> ServiceBusReceiver:
            return client.get_queue_receiver(queue, sub_queue=sub_queue, socket_timeout=READ_S)

        self._coming = Link(make)
        self._holding = Link(make)
        self._polling = asyncio.Lock()
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def poll(self, most: int, wait_s: float) -> list[Received]:
        """Lock up to so many messages; with none, wait.

        While somebody waits, that poll gets all that there is, and one that does not wait nothing.
        """
        waits = wait_s > 0
        if self._waiting and not waits:
            return []
        asked_s = wait_s if waits else NOW_S
        self._waiting += waits
        try:
            async with self._polling:
                return await self._coming.call_again(
                    lambda receiver: _receive(receiver, most, asked_s), within_s=asked_s + CALL_S
                )
        finally:
            self._waiting -= waits

    async def renew(self, received: Received) -> bool:
        """Lock it for as long again; False if the lock is lost, as of all that follow."""
        return await self._hold(lambda receiver: receiver.renew_message_lock(received.message))

    async def complete(self, received: Received) -> bool:
        """It comes no more."""
        return await self._settle(
            received, lambda receiver: receiver.complete_message(received.message)
        )

    async def abandon(self, received: Received) -> bool:
        """It is ready again."""
        return await self._settle(
            received, lambda receiver: receiver.abandon_message(received.message)
        )

    async def bury(self, received: Received, reason: str) -> bool:
        """It is a dead letter."""
        return await self._settle(
            received, lambda receiver: receiver.dead_letter_message(received.message, reason)
        )

    async def close(self) -> None:
        """Close both links."""
        await asyncio.gather(self._coming.close(), self._holding.close())

    async def _settle(
        self, received: Received, call: Callable[[ServiceBusReceiver], Awaitable[object]]
    ) -> bool:
        if received.by is self._coming.open:
            # If that fails midway, its lock is lost or still held: both are told by the other.
            with contextlib.suppress(Unavailable):
                return await _held(self._coming.call(call))
        return await self._hold(call)

    async def _hold(self, call: Callable[[ServiceBusReceiver], Awaitable[object]]) -> bool:
        async with self._turn:
            return await _held(self._holding.call_again(call))


async def _held(call: Awaitable[object]) -> bool:
    try:
        await call
    except MessageLockLostError:
        return False
    return True


def _together(asked: Sequence[_Asked]) -> list[_Asked]:
    group = [asked[0]]
    for other in asked[1:]:
        bodies = [body for each in (*group, other) for body in each.bodies]
        size = sum(len(body) + AROUND_BYTES for body in bodies)
        if other.due != asked[0].due or len(bodies) > AT_ONCE or size > GROUP_BYTES:
            break
        group.append(other)
    return group


async def _send(
    sender: ServiceBusSender, messages: list[ServiceBusMessage], due: float | None
) -> None:
    if due is None:
        await sender.send_messages(messages)
    else:
        await sender.schedule_messages(messages, datetime.fromtimestamp(due, UTC))


async def _receive(receiver: ServiceBusReceiver, most: int, wait_s: float) -> list[Received]:
    """Take back what was asked for and did not come.

    The SDK leaves that to the closing of the link. Until then messages would come that nobody
    asked for, and lie here, locked. One that was too late for that may have lost its lock by now.
    """
    messages = await receiver.receive_messages(max_message_count=most, max_wait_time=wait_s)
    inner: Any = receiver
    # A settlement that failed may have closed it meanwhile, which takes back as well.
    if len(messages) < most and inner._handler is not None:  # noqa: SLF001
        await inner._amqp_transport.drain_and_release_messages_async(inner._handler)  # noqa: SLF001
    found = [Received(str(message.lock_token), message, receiver) for message in messages]
    return [received for received in found if received.locked]


async def _close(used: ServiceBusSender | ServiceBusReceiver, connection: Any) -> None:
    """With the socket, which the SDK forgets where the other side closes first."""
    with contextlib.suppress(*FAILURES):
        async with asyncio.timeout(CLOSE_S):
            await used.close()
    with contextlib.suppress(*FAILURES):
        await connection._transport.close()  # noqa: SLF001


def unavailable(error: Exception) -> Unavailable:
    """As the SDK's errors leave this package."""
    words = str(error) or type(error).__name__
    return Unavailable("Service Bus does not answer.", why=words, code="servicebus_unavailable")
