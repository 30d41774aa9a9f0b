"""What is asked of a queue's `$management` node.

Follows "AMQP 1.0: request-response-based operations" of Microsoft Learn, for the operations that
somebody uses.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import proton
from proton import timestamp

from tests.emulators.servicebus_broker import Broker, Lock, Queue
from tests.emulators.servicebus_messages import annotated, decoded, due, plain

LOST = "com.microsoft:message-lock-lost"

"""Not everything in it has a type."""


def answer(broker: Broker, queue: Queue, request: Any) -> tuple[int, str | None, Any]:
    """Status, error and body of the answer."""
    operation = str(request.properties["operation"])
    broker.calls[operation.removeprefix("com.microsoft:")] += 1
    asked = plain(request.body)
    match operation:
        case "com.microsoft:renew-lock":
            ends = [broker.renew(queue, token) for token in _elements(asked, "lock-tokens")]
            if None in ends:
                return 410, LOST, None
            times = [timestamp(int(end * 1000)) for end in ends if end is not None]
            return 200, None, {"expirations": _array(proton.Data.TIMESTAMP, times)}
        case "com.microsoft:update-disposition":
            reason = str(asked.get("deadletter-reason") or "")
            words = str(asked.get("deadletter-description") or "")
            settle = {
                "completed": broker.complete,
                "abandoned": broker.abandon,
                "suspended": partial(broker.bury, reason=reason, description=words),
            }[asked["disposition-status"]]
            done = [settle(queue, token) for token in _elements(asked, "lock-tokens")]
            return (200, None, None) if all(done) else (410, LOST, None)
        case "com.microsoft:schedule-message":
            messages = [decoded(bytes(each["message"])) for each in asked["messages"]]
            numbers = [broker.send(queue, each, due(each)) for each in messages]
            return 200, None, {"sequence-numbers": _array(proton.Data.LONG, numbers)}
        case "com.microsoft:cancel-scheduled-message":
            numbers = _elements(asked, "sequence-numbers")
            done = [broker.unschedule(queue, number) for number in numbers]
            return (200, None, None) if all(done) else (404, "amqp:not-found", None)
        case "com.microsoft:peek-message":
            most = asked["message-count"]
            kept = broker.peek(queue, asked["from-sequence-number"], most)
            found = [{"message": annotated(Lock(each, 0), None).encode()} for each in kept]
            return (200, None, {"messages": found}) if found else (204, None, None)
        case _:
            return 501, "amqp:not-implemented", None


def _elements(asked: Mapping[str, Any], key: str) -> list[Any]:
    return list(getattr(asked[key], "elements", asked[key]))


def _array(kind: int, values: list[Any]) -> Any:
    return proton.Array(proton.UNDESCRIBED, kind, *values)
