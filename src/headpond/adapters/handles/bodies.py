"""What is sent through the queues of clouds."""

import msgspec

from headpond.ports.queue import Message


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """The message, and when it may be received if that is too far off for the queue's own delay."""

    message: Message
    not_before: float | None = None


encode_body = msgspec.json.Encoder().encode
decode_body = msgspec.json.Decoder(Body).decode
