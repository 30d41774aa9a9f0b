"""What the engine will read of a request: too long or empty is found here, for every front door.

Judged is the request as it is sent, so nothing else can be sent than what was judged.
"""

from typing import cast

import msgspec
from msgspec import Raw

from headpond.errors import InvalidRequest
from headpond.gateway.chat_schema import Open

NOT_TEXT = frozenset({"role", "type", "image_url", "input_audio", "video_url", "audio_url", "file"})
"""Fields of messages and their parts that are no text: marks, and data of other kinds."""

TEXT_STARTS = (b"{", b"[", b'"')

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_messages = msgspec.json.Decoder(list[Open]).decode


def prompt_chars(request: bytes, *, limit: int, param: str) -> int:
    """Characters that the engine reads: of messages their text, of tools and the like the JSON.

    `param` is the field that the messages came in. Raises InvalidRequest where there is nothing
    in the messages, or more than `limit` characters in all.
    """
    fields = _decode_fields(request)
    messages = _decode_messages(fields.pop("messages"))
    chars = _text_chars(messages) + sum(map(_json_chars, fields.values()))
    if chars > limit:
        text = (
            f"The prompt has {chars} characters, tools and formats included; {limit} are allowed "
            "(gateway.max_prompt_chars)."
        )
        raise InvalidRequest(text, code="prompt_too_long", param=param)
    if not any(map(_says_something, messages)):
        raise InvalidRequest("The prompt is empty.", code="empty_prompt", param=param)
    return chars


def _text_chars(messages: list[Open]) -> int:
    chars = 0
    left: list[object] = [*messages]
    while left:
        value = left.pop()
        if isinstance(value, str):
            chars += len(value)
        elif isinstance(value, list):
            left += cast("list[object]", value)
        elif isinstance(value, dict):
            fields = cast("Open", value).items()
            left += [field for name, field in fields if name not in NOT_TEXT]
    return chars


def _json_chars(value: Raw) -> int:
    """Numbers and marks are parameters; what has text in it, a template may show the model."""
    text = bytes(value)
    return len(text.decode()) if text.startswith(TEXT_STARTS) else 0


def _says_something(message: Open) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return bool(content.strip())
    if isinstance(content, list):
        return any(map(_part_says_something, cast("list[Open]", content)))
    return False


def _part_says_something(part: Open) -> bool:
    text = part.get("text")
    return not isinstance(text, str) or bool(text.strip())
