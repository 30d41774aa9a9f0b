"""Settings as they were written: values that remember where they stand."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

Path: TypeAlias = tuple[str, ...]


class Leaf(msgspec.Struct, frozen=True):
    """A value, not a map. `origin` is where it stands, in words."""

    value: object
    origin: str


class Table(msgspec.Struct, frozen=True):
    """A map, by its keys."""

    entries: Mapping[str, "Written"]
    origin: str


Written: TypeAlias = Leaf | Table


def empty() -> Table:
    """Nothing is written."""
    return Table({}, "nowhere")


def put(table: Table, path: Sequence[str], written: Written) -> Table:
    """The table with an entry put in, and tables made on the way where there are none."""
    name, *rest = path
    if rest:
        inner = table.entries.get(name)
        if not isinstance(inner, Table):
            inner = Table({}, written.origin)
        written = put(inner, rest, written)
    return Table({**table.entries, name: written}, table.origin)


def find(table: Table, path: Sequence[str]) -> Written | None:
    """What is written under a path."""
    written: Written | None = table
    for name in path:
        if not isinstance(written, Table):
            return None
        written = written.entries.get(name)
    return written


def origin_of(table: Table, path: Path) -> str | None:
    """Where a setting, or the nearest one around it, is written; None if nowhere."""
    for length in range(len(path), 0, -1):
        written = find(table, path[:length])
        if written is not None:
            return written.origin
    return None


def dotted(path: Path) -> str:
    """A path as people write it."""
    return ".".join(path)
