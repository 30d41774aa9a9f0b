"""Request bodies: read within limits, checked for form, decoded.

The decoder alone would let some things through: text that is not UTF-8 or a number too large in a
field that nobody types, a key that comes twice (which one counts? ours and the engine's answer may
differ), and nesting that costs it its stack. The checks below cost about as much as decoding.
"""

import json
import re
from typing import TypeAlias, TypeVar, cast

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call
from headpond.gateway.faults import choices, description, guilty_key
from headpond.gateway.patience import Patience
from headpond.settings import GatewaySettings

T = TypeVar("T")

BODY_TIMEOUT_S = 30.0

MAX_CONTAINERS = 20_000
"""Objects and arrays of one body: each costs a microsecond in which nobody else is served."""

# Possessive, and the closing quote is optional: one pass over any input, however hostile.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CONTAINERS = (dict, list)
Container: TypeAlias = dict[str, object] | list[object]
_ALL_SQUARE = bytes.maketrans(b"{}", b"[]")
_PATH = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)

_decode_anything = msgspec.json.Decoder().decode


class BodyReader:
    """Reads JSON bodies. Raises InvalidRequest."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._max_bytes = settings.max_body_bytes
        self._max_depth = settings.max_json_depth
        self._patience = Patience(BODY_TIMEOUT_S)

    async def read(self, call: Call) -> bytes:
        """The whole body, still unparsed; not one byte more than the limit is kept."""
        media_type = call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        # A web page may send a cross-site POST without asking only under the types that forms
        # have. Insisting on JSON keeps pages away from a gateway on localhost.
        if media_type != b"application/json":
            message = "Send the body as JSON, with the header Content-Type: application/json."
            raise InvalidRequest(message, code="unsupported_media_type", status=415)
        length = call.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._max_bytes:
            raise self._too_large()
        try:
            return await self._patience.wait(self._chunks(call.receive))
        except TimeoutError as error:
            message = f"The body did not arrive within {BODY_TIMEOUT_S:.0f} seconds."
            raise InvalidRequest(message, code="request_timeout", status=408) from error

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            data, more = await chunk(receive)
            size += len(data)
            if size > self._max_bytes:
                raise self._too_large()
            chunks.append(data)
        return b"".join(chunks)

    def _too_large(self) -> InvalidRequest:
        message = f"The body is larger than {self._max_bytes} bytes (gateway.max_body_bytes)."
        return InvalidRequest(message, code="body_too_large", status=413)

    def decode(self, body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as the decoder's type; `param` of an error names the field at fault."""
        try:
            body.decode()
        except UnicodeDecodeError as error:
            message = f"The body is not UTF-8 (byte {error.start})."
            raise InvalidRequest(message, code="invalid_json") from error
        self._check_brackets(body)
        try:
            value = decoder.decode(body)
            plain = _decode_anything(body)
        except msgspec.ValidationError as error:
            raise _invalid_field(str(error), cast("type", decoder.type), body) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"The body is not valid JSON: {error}."
            raise InvalidRequest(message, code="invalid_json") from error
        _check_keys(plain, body)
        return value

    def _check_brackets(self, body: bytes) -> None:
        # Most bodies have not even as many brackets as there may be levels.
        if _containers(body) <= self._max_depth:
            return
        skeleton = _STRING.sub(b"", body)
        if _containers(skeleton) > MAX_CONTAINERS:
            message = f"The body has more than {MAX_CONTAINERS} objects and arrays."
            raise InvalidRequest(message, code="too_many_values")
        if _deeper_than(self._max_depth, skeleton):
            message = (
                f"The body is nested more than {self._max_depth} levels deep, "
                "or its brackets do not match."
            )
            raise InvalidRequest(message, code="too_deeply_nested")


async def chunk(receive: Receive) -> tuple[bytes, bool]:
    """The next bytes of a body, and whether more may come. Raises ClientDisconnect."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _containers(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _deeper_than(levels: int, skeleton: bytes) -> bool:
    """Whether JSON without its strings nests deeper; also true when brackets do not match."""
    if _containers(skeleton) <= levels:
        return False
    brackets = skeleton.translate(_ALL_SQUARE, _NOT_BRACKETS)
    for _ in range(levels):
        # Each pass peels the innermost level off.
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _check_keys(plain: object, body: bytes) -> None:
    """Raises InvalidRequest for a key that stands twice in one object: it was decoded once."""
    keys = _keys_in(cast("Container", plain))
    # Where not even the colons within strings make a difference, there is no need to take them out.
    if keys != body.count(b":") and keys != _STRING.sub(b"", body).count(b":"):
        name = _first_duplicate(body)
        message = f"The key {name!r} stands twice in one object."
        raise InvalidRequest(message, code="duplicate_key", param=name)


def _keys_in(container: Container) -> int:
    """Keys of all objects in an object or array."""
    keys = 0
    left = [container]
    while left:
        values = left.pop()
        if isinstance(values, dict):
            keys += len(values)
            values = values.values()
        left += cast("list[Container]", [value for value in values if type(value) in _CONTAINERS])
    return keys


def _first_duplicate(body: bytes) -> str | None:
    found: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found.append(name)
            seen.add(name)

    json.loads(body, object_pairs_hook=look)
    return found[0][:64] if found else None


def _invalid_field(text: str, kind: type, body: bytes) -> InvalidRequest:
    """Translate a decoder's message: "Expected `int`, got `str` - at `$.messages[0].role`"."""
    found = _PATH.fullmatch(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    if unknown := _UNKNOWN.fullmatch(what):
        name = _join(path, unknown["name"][:64])
        message = f"The parameter {name!r} is not known here."
        return InvalidRequest(message, code="unknown_parameter", param=name)
    if missing := _MISSING.fullmatch(what):
        name = _join(path, missing["name"])
        message = f"The parameter {name!r} is missing."
        return InvalidRequest(message, code="missing_required_parameter", param=name)
    if what.startswith("Invalid enum value") and (allowed := choices(kind, path)):
        what = f"{what}; it is one of {', '.join(allowed)}"
    if "matching regex" in what and (described := description(kind, path)):
        what = described[0].lower() + described[1:]
    field = path.removesuffix("[...]")
    if found and (found["key"] or field != path):
        key = guilty_key(kind, field, body)
        path = path if key is None else _join(field, key[:64])
    where = f"{path}: " if path else ""
    return InvalidRequest(f"{where}{what}.", code="invalid_value", param=path or None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
