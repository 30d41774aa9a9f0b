"""Azure Service Bus over AMQP 1.0, as its official clients speak it to an emulator: without TLS.

Follows the protocol guide ("AMQP 1.0 in Azure Service Bus and Event Hubs") and "AMQP 1.0:
request-response-based operations" of Microsoft Learn. The tag of a delivery is its lock's token, in
Windows' order of bytes. A lock that is lost is told by the outcome `rejected` with
`com.microsoft:message-lock-lost`, or by 410 where it was asked for by request.
"""

import threading
import uuid
from collections.abc import Mapping
from typing import Any

import proton
from proton import Condition, Delivery, Message, symbol
from proton.reactor import Container

from tests.emulators.servicebus_broker import Broker, Queue
from tests.emulators.servicebus_messages import annotated, decoded, due, messages, plain
from tests.emulators.servicebus_requests import LOST, answer

TICK_S = 0.02
"""How often it is looked for what time has brought, and for what the other thread wants."""

CREDIT = 1000
MANAGEMENT = "/$management"


class Links(proton.Handler):
    """Everything that comes over connections; runs in a thread of its own."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self.port = 0
        self._up = threading.Event()
        self._drops: list[threading.Event] = []
        self._closing = False
        self._broker = broker
        self._connections: set[Any] = set()
        self._paths: dict[Any, str] = {}
        self._lent: dict[Any, tuple[Queue, uuid.UUID]] = {}

    def start(self) -> None:
        """Listens on `port` when it returns."""
        self._thread = threading.Thread(target=Container(self).run, daemon=True)
        self._thread.start()
        self._up.wait()

    def drop(self) -> None:
        """Every connection is gone when it returns, without a word."""
        dropped = threading.Event()
        self._drops.append(dropped)
        dropped.wait()

    def close(self) -> None:
        """The thread has ended when it returns."""
        self._closing = True
        self._thread.join()

    def on_reactor_init(self, event: Any) -> None:
        self._container = event.container
        self._acceptor = event.container.listen("127.0.0.1:0")
        self.port = self._acceptor._selectable._delegate.getsockname()[1]
        event.container.schedule(TICK_S, self)
        self._up.set()

    def on_timer_task(self, _: Any) -> None:
        if self._drops or self._closing:
            for connection in list(self._connections):
                self._cut(connection)
        while self._drops:
            self._drops.pop().set()
        if self._closing:
            self._acceptor.close()
            self._container.stop()
            return
        with self._broker.mutex:
            for queue in self._broker.queues.values():
                self._hand_out(queue)
        self._container.schedule(TICK_S, self)

    def on_connection_remote_open(self, event: Any) -> None:
        self._connections.add(event.connection)
        event.connection.open()

    def on_session_remote_open(self, event: Any) -> None:
        event.session.open()

    def on_session_remote_close(self, event: Any) -> None:
        event.session.close()

    def on_connection_remote_close(self, event: Any) -> None:
        event.connection.close()

    def on_transport_closed(self, event: Any) -> None:
        self._cut(event.connection)

    def on_link_remote_open(self, event: Any) -> None:
        link = event.link
        path = _path(link.remote_target if link.is_receiver else link.remote_source)
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        with self._broker.mutex:
            known = path == "$cbs" or path.removesuffix(MANAGEMENT) in self._broker.queues
        if not known:
            link.source.type = link.target.type = proton.Terminus.UNSPECIFIED
            link.open()
            words = f"The messaging entity '{path}' could not be found."
            link.condition = Condition("amqp:not-found", words)
            link.close()
            return
        self._paths[link] = path
        link.open()
        if link.is_receiver:
            link.flow(CREDIT)

    def on_link_remote_close(self, event: Any) -> None:
        self._forget(event.link)
        event.link.close()

    def on_link_flow(self, event: Any) -> None:
        link = event.link
        with self._broker.mutex:
            queue = self._broker.queues.get(self._paths.get(link, ""))
            if link.is_sender and queue is not None:
                self._hand_out(queue)
                if link.drain_mode:
                    link.drained()

    def on_delivery(self, event: Any) -> None:
        delivery, link = event.delivery, event.link
        if link not in self._paths:
            return
        with self._broker.mutex:
            if link.is_sender:
                if delivery.updated and delivery in self._lent:
                    self._settle(delivery, *self._lent.pop(delivery))
            elif delivery.readable and not delivery.partial:
                self._take(link, delivery)

    def _take(self, link: Any, delivery: Any) -> None:
        """A message for a queue, a batch of them, or a request."""
        raw = bytes(link.recv(delivery.pending))
        link.advance()
        path = self._paths[link]
        if path == "$cbs":
            said = {"status-code": 202, "status-description": "Accepted"}
            self._reply(link, decoded(raw), said, None)
        elif path.endswith(MANAGEMENT):
            request = decoded(raw)
            queue = self._broker.queues[path.removesuffix(MANAGEMENT)]
            code, error, body = answer(self._broker, queue, request)
            said = {"statusCode": code, "statusDescription": error or "OK"}
            if error:
                said["errorCondition"] = symbol(error)
            self._reply(link, request, said, body)
        else:
            queue = self._broker.queues[path]
            self._broker.calls["Send"] += 1
            for message in messages(raw):
                self._broker.send(queue, message, due(message))
            self._hand_out(queue)
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        link.flow(1)

    def _hand_out(self, queue: Queue) -> None:
        """To whoever has credit, in turn."""
        path = queue.name.lower()
        links = [link for link, its in self._paths.items() if its == path and link.is_sender]
        while able := [link for link in links if link.credit > 0]:
            received = self._broker.receive(queue)
            if received is None:
                return
            token, lock = received
            delivery = able[0].delivery(token.bytes_le)
            able[0].stream(annotated(lock, token).encode())
            self._lent[delivery] = (queue, token)
            able[0].advance()
            self._broker.calls["Receive"] += 1
            links.remove(able[0])
            links.append(able[0])

    def _settle(self, delivery: Any, queue: Queue, token: uuid.UUID) -> None:
        """As the receiver says; it is told whether that came to be."""
        state, condition = delivery.remote_state, delivery.remote.condition
        match state:
            case Delivery.ACCEPTED:
                verb, done = "Complete", self._broker.complete(queue, token)
            case Delivery.REJECTED:
                said = plain(condition.info if condition else None)
                reason = str(said.get("DeadLetterReason") or "")
                words = str(said.get("DeadLetterErrorDescription") or "")
                verb, done = "DeadLetter", self._broker.bury(queue, token, reason, words)
            case Delivery.MODIFIED:
                verb, done = "Abandon", self._broker.abandon(queue, token)
            case _:
                verb, done = "Release", self._broker.release(queue, token)
        self._broker.calls[verb] += 1
        if done:
            delivery.update(state)
        else:
            words = "The lock supplied is invalid. Either the lock expired, or the message has "
            delivery.local.condition = Condition(LOST, words + "already been removed.")
            delivery.update(Delivery.REJECTED)
        delivery.settle()
        self._hand_out(queue)

    def _reply(self, link: Any, request: Any, said: Mapping[str, Any], body: Any) -> None:
        path = self._paths[link]
        answers = [
            other
            for other, its in self._paths.items()
            if its == path and other.is_sender and other.connection == link.connection
        ]
        properties = {
            key: proton.int32(value) if isinstance(value, int) else value
            for key, value in said.items()
        }
        reply = Message(body=body, correlation_id=request.id, properties=properties)
        for other in answers[:1]:
            other.send(reply).settle()

    def _cut(self, connection: Any) -> None:
        """The locks of what was handed out over it hold on."""
        self._connections.discard(connection)
        for link in [link for link in self._paths if link.connection == connection]:
            self._forget(link)
        if connection.transport is not None:
            connection.transport.close_tail()
            connection.transport.close_head()

    def _forget(self, link: Any) -> None:
        self._paths.pop(link, None)
        for delivery in [delivery for delivery in self._lent if delivery.link == link]:
            del self._lent[delivery]


def _path(terminus: Any) -> str:
    """Of an address, `amqps://HOST/PATH` or a path."""
    address = terminus.address or ""
    return address.partition("://")[2].partition("/")[2].lower() or address.strip("/").lower()
