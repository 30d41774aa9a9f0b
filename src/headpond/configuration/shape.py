"""The types of settings, taken apart: which keys a section has, what a value may be."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta, inspect, structs

from headpond.configuration.written import Path
from headpond.settings import Settings

ANY_NAME = "NAME"
"""Stands in a path for a key that people choose."""


class Setting(msgspec.Struct, frozen=True):
    """One line of the reference: a setting that takes a value, or a section with a purpose."""

    path: Path
    type: Any
    description: str
    default: object = None
    required: bool = False
    section: bool = False


def bare(annotation: Any) -> Any:
    """The type without its metadata and without None."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        (only,) = (part for part in get_args(annotation) if part is not NoneType)
        return bare(only)
    return annotation


def section_of(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct, if the setting is a section with keys of its own."""
    kind = bare(annotation)
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def values_of(annotation: Any) -> Any:
    """The type of a map's values, None if the setting is no map."""
    kind = bare(annotation)
    return get_args(kind)[1] if get_origin(kind) is dict else None


def type_at(path: Path) -> Any:
    """What the setting at a path takes, None if there is no such setting."""
    annotation: Any = Settings
    for name in path:
        section = section_of(annotation)
        if section is None:
            annotation = values_of(annotation)
        else:
            annotation = next((f.type for f in structs.fields(section) if f.name == name), None)
    return annotation


def takes_text(annotation: Any) -> bool:
    """Whether whatever is written is meant as it stands."""
    return bare(annotation) is str


def takes_null(annotation: Any) -> bool:
    """Whether null is a value of its own."""
    return NoneType in get_args(annotation)


def is_secret(annotation: Any) -> bool:
    """Whether the value must not be shown."""
    return any((meta.extra or {}).get("secret") for meta in _metas(annotation))


def allowed(annotation: Any) -> str:
    """What a value may be, in words that fit after "it takes"."""
    return _words(inspect.type_info(annotation))


def settings() -> Iterator[Setting]:
    """Every setting there is, sections before what is in them, in the order of the types."""
    yield from _settings((), Settings)


def _settings(path: Path, section: type[msgspec.Struct]) -> Iterator[Setting]:
    for field in structs.fields(section):
        here = (*path, field.name)
        inner = section_of(field.type)
        values = values_of(field.type)
        if values is not None:
            here, inner = (*here, ANY_NAME), section_of(values)
        if inner is None:
            yield Setting(
                here,
                field.type if values is None else values,
                _description(field.type),
                default=field.default,
                required=field.required,
            )
        else:
            yield Setting(here, field.type, _purpose(inner), section=True)
            yield from _settings(here, inner)


def _metas(annotation: Any) -> list[Meta]:
    return [part for part in get_args(annotation) if isinstance(part, Meta)]


def _description(annotation: Any) -> str:
    return next((meta.description for meta in _metas(annotation) if meta.description), "")


def _purpose(section: type[msgspec.Struct]) -> str:
    """The docstring's first paragraph."""
    return " ".join((section.__doc__ or "").split("\n\n")[0].split())


def _words(kind: inspect.Type) -> str:  # noqa: PLR0911 - one line a type
    match kind:
        case inspect.Metadata():
            return _words(kind.type)
        case inspect.UnionType():
            others = [part for part in kind.types if not isinstance(part, inspect.NoneType)]
            return " or ".join(map(_words, others)) + " or null"
        case inspect.IntType():
            return "a whole number" + _bounds(kind)
        case inspect.FloatType():
            return "a number" + _bounds(kind)
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return " or ".join(map(str, kind.values))
        case inspect.VarTupleType():
            return f"a list, each of it {_words(kind.item_type)}"
        case inspect.DictType() | inspect.StructType():
            return "a map"
        case _:
            return "text"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    words = (
        (" above {}", kind.gt),
        (" from {}", kind.ge),
        (" below {}", kind.lt),
        (" to {}" if kind.ge is not None else " up to {}", kind.le),
    )
    text = "".join(word.format(bound) for word, bound in words if bound is not None)
    return text + (" up" if kind.ge is not None and kind.le is None else "")
