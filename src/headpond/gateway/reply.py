"""Answers as small ASGI apps: JSON that is bytes already."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from starlette.types import Receive, Scope, Send

Header: TypeAlias = tuple[bytes, bytes]

_encoder = msgspec.json.Encoder()


class Reply:
    """A JSON answer. Starlette's Response costs several times as much, and this one is hot."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, status: int = 200, headers: Sequence[Header] = ()) -> None:
        self.body = body
        self.status = status
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_reply(value: object, status: int = 200, headers: Sequence[Header] = ()) -> Reply:
    """The value, a wire type or plain data, as JSON."""
    return Reply(_encoder.encode(value), status, headers)
