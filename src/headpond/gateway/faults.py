"""What a decoder leaves unsaid about a field at fault: which values there are, which key it was."""

import re
from collections.abc import Mapping
from typing import cast

import msgspec
from msgspec import inspect

_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")

MOST_KEYS = 1_000
"""Of a map with more keys than this none is named: each is looked at by itself."""


def choices(kind: type, path: str) -> list[str]:
    """The values that a field of `kind` may have; empty where they are no short list."""
    found = _at(kind, path)
    return [str(value) for one in found for plain in _plain(one) for value in _values(plain)]


def description(kind: type, path: str) -> str | None:
    """What the schema says of a field, None if nothing."""
    for found in _at(kind, path):
        if isinstance(found, inspect.Metadata):
            said = cast("Mapping[str, str]", found.extra_json_schema or {})  # pyright: ignore[reportUnknownMemberType]
            return said.get("description")
    return None


def _at(kind: type, path: str) -> list[inspect.Type]:
    found = [inspect.type_info(kind)]
    for step in _STEP.findall(path):
        found = [inner for outer in found for inner in _inside(outer, step)]
    return found


def guilty_key(kind: type, field: str, body: bytes) -> str | None:
    """Which key of a map in this field the decoder stumbled over, None if that cannot be told."""
    try:
        plain = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        # It has another fault, further on.
        return None
    entries = cast("Mapping[str, object]", plain).get(field) if isinstance(plain, dict) else None
    if not isinstance(entries, dict):
        return None
    named = cast("Mapping[str, object]", entries)
    if len(named) > MOST_KEYS:
        return None
    for key, value in named.items():
        try:
            msgspec.convert({field: {key: value}}, kind)
        except msgspec.ValidationError as error:
            # A field that is missing from this piece is told of as well, without a place.
            if f"$.{field}" in str(error):
                return key
    return None


def _inside(outer: inspect.Type, step: str) -> list[inspect.Type]:
    inner: list[inspect.Type] = []
    for plain in _plain(outer):
        match plain:
            case inspect.StructType(fields=fields):
                inner += [field.type for field in fields if field.encode_name == step]
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                inner.append(item)
            case inspect.DictType(value_type=value):
                inner.append(value)
            case _:
                pass
    return inner


def _plain(found: inspect.Type) -> list[inspect.Type]:
    """Without annotations, and each member of a union by itself."""
    match found:
        case inspect.Metadata(type=inner):
            return _plain(inner)
        case inspect.UnionType(types=types):
            return [plain for one in types for plain in _plain(one)]
        case _:
            return [found]


def _values(found: inspect.Type) -> list[object]:
    match found:
        case inspect.EnumType(cls=kind):
            return [member.value for member in kind]
        case inspect.LiteralType(values=values):
            return list(values)
        case _:
            return []
