"""The settings in force, each with where it comes from, and no secret among them."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec import structs

from headpond.configuration.loading import Configuration
from headpond.configuration.masking import MASK, masked
from headpond.configuration.references import has_references, is_reference
from headpond.configuration.shape import is_secret, section_of, values_of
from headpond.configuration.written import Leaf, Path, Table, Written, dotted, find

DEFAULT = "default"


class Shown(msgspec.Struct, frozen=True):
    """One setting in force. A value by reference is shown as the reference."""

    setting: str
    value: object
    origin: str


def shown(configuration: Configuration) -> Iterator[Shown]:
    """Every setting in force, in the order of the types."""
    yield from _section(configuration.written, (), configuration.settings)


def _section(table: Table, path: Path, section: msgspec.Struct) -> Iterator[Shown]:
    for field in structs.fields(section):
        value = getattr(section, field.name)
        yield from _value(table, (*path, field.name), field.type, value)


def _value(table: Table, path: Path, annotation: Any, value: Any) -> Iterator[Shown]:
    values = values_of(annotation)
    if section_of(annotation) is not None and value is not None:
        yield from _section(table, path, value)
    elif values is not None and value is not None:
        for name, entry in value.items():
            yield from _value(table, (*path, name), values, entry)
    else:
        written = find(table, path)
        origin = DEFAULT if written is None else written.origin
        reference = _reference(written)
        if is_secret(annotation) and value is not None:
            value = reference if _may_be_shown(reference) else MASK
        elif reference is not None:
            value = _masked(reference)
        else:
            value = _masked(value)
        yield Shown(dotted(path), value, origin)


def _may_be_shown(reference: object) -> bool:
    """A reference tells no secret; the text around one may be a part of it."""
    return isinstance(reference, str) and is_reference(reference)


def _masked(value: object) -> object:
    match value:
        case str():
            return masked(value)
        case list() | tuple():
            return [_masked(item) for item in cast("Sequence[object]", value)]
        case _:
            return value


def _reference(written: Written | None) -> object | None:
    """What is written, if a reference is in it."""
    match written:
        case Leaf(str(text)) if has_references(text):
            return text
        case Leaf(list()):
            items = cast("list[object]", written.value)
            found = any(isinstance(item, str) and has_references(item) for item in items)
            return items if found else None
        case _:
            return None
