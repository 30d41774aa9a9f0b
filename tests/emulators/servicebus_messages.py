"""Messages of Service Bus as they are on the wire: batches, annotations, maps."""

import uuid
from collections.abc import Iterator
from typing import Any

import proton
from proton import Message, symbol, timestamp

from tests.emulators.servicebus_broker import Lock

DUE = symbol("x-opt-scheduled-enqueue-time")
DATA, VALUE = 0x75, b"\x00\x53"
"""Descriptors: of a section with data; and how one begins."""


def decoded(raw: bytes) -> Any:
    message = Message()
    message.decode(raw)
    return message


def messages(raw: bytes) -> list[Any]:
    """A message, or those of a batch: each is one section of its data."""
    data = [payload for descriptor, payload in _sections(raw) if descriptor == DATA]
    batch = bool(data) and all(each[:2] == VALUE and 0x70 <= each[2] <= 0x78 for each in data)
    return [decoded(each) for each in (data if batch else [raw])]


def _sections(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Descriptor and payload of each section (OASIS, AMQP 1.0, part 1.2: "Type Encodings")."""
    at = 0
    while at < len(raw):
        descriptor, constructor = raw[at + 2], raw[at + 3]
        match constructor >> 4:
            case 0xA | 0xC | 0xE:
                size, begin = raw[at + 4], at + 5
            case 0xB | 0xD | 0xF:
                size, begin = int.from_bytes(raw[at + 4 : at + 8]), at + 8
            case kind:
                size, begin = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}[kind], at + 4
        yield descriptor, raw[begin : begin + size]
        at = begin + size


def due(message: Any) -> float | None:
    said: dict[Any, Any] = message.annotations or {}
    due = said.get(DUE)
    return None if due is None else float(due) / 1000


def annotated(lock: Lock, token: uuid.UUID | None) -> Any:
    """The message as a receiver gets it."""
    kept, message = lock.kept, lock.kept.message
    message.delivery_count = kept.deliveries
    known: dict[Any, Any] = message.annotations or {}
    said: dict[Any, Any] = {
        **known,
        symbol("x-opt-sequence-number"): kept.number,
        symbol("x-opt-enqueued-time"): timestamp(int(kept.enqueued * 1000)),
    }
    if token is not None:
        said[symbol("x-opt-locked-until")] = timestamp(int(lock.until * 1000))
    message.annotations = proton.AnnotationDict(said)
    return message


def plain(body: Any) -> dict[str, Any]:
    said: dict[Any, Any] = body or {}
    return {str(key): value for key, value in said.items()}
