"""A streamed chat completion: its chunks, put together to what would have come without streaming.

A stream that does not end with `[DONE]` was cut off, whatever it said before. An error among the
chunks means what it would mean as a response of its own.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from headpond.adapters.openai.sse import EventReader
from headpond.adapters.openai.wire import read_response
from headpond.domain.deltas import Choices, Fields, as_answer, grow
from headpond.domain.outcome import Broke, Died, Outcome
from headpond.ports.engine import Tell

DONE = b"[DONE]"
STREAM_OPTIONS = b'"stream":true,"stream_options":{"include_usage":true}'

_decode = msgspec.json.Decoder().decode


class _Choice(msgspec.Struct):
    """What the pieces of an answer must have to be put together; the rest is the client's."""

    index: int
    delta: dict[str, Any]


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: object = None


_check = msgspec.json.Decoder(_Chunk).decode


def streamed(request: bytes) -> bytes:
    """The request, a JSON object with at least one member, as one for a stream with usage."""
    return b"{" + STREAM_OPTIONS + b"," + request.removeprefix(b"{")


class StreamedAnswer:
    """One answer as it comes. `tell` hears each piece."""

    def __init__(self, tell: Tell, headers: Mapping[str, str]) -> None:
        self._tell = tell
        self._headers = headers
        self._events = EventReader()
        self._fields: Fields = {}
        self._choices: Choices = []
        self._ended: Outcome | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes off the wire; what follows the end is passed over."""
        for event in self._events.feed(data):
            if self._ended is None:
                self._ended = self._end(event)

    def outcome(self) -> Outcome:
        """What it all means, once no more bytes come."""
        return self._ended or Died("The engine's stream broke off.")

    def _end(self, event: bytes) -> Outcome | None:
        """What the stream means if it ends with this event; None if it goes on."""
        if event.startswith(DONE):
            return read_response(200, self._headers, self._body())
        try:
            checked = _check(event)
            if checked.error is None:
                self._take(_decode(event))
                return None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason = f"The engine's stream holds no chat completion: {error}"
            return Broke(reason, "engine_garbage")
        return read_response(_status(checked.error), self._headers, event)

    def _take(self, chunk: Fields) -> None:
        choices: Choices = chunk.pop("choices", [])
        self._fields |= {name: value for name, value in chunk.items() if value is not None}
        if choices:
            grow(self._choices, choices)
            self._tell(choices)

    def _body(self) -> bytes:
        whole = {"object": "chat.completion", "choices": as_answer(self._choices)}
        return msgspec.json.encode({**self._fields, **whole})


def _status(error: object) -> int:
    """The HTTP status that an error among the chunks would have had: most name it as `code`."""
    match error:
        case {"code": int(code)} if 400 <= code < 600:  # noqa: PLR2004 - the errors of HTTP
            return code
        case _:
            return 500
