"""From what is written to `Settings`, or to every problem at once.

The decoder's own messages name no line and no key of a map, so what is written is walked beside the
types, and each value is converted by itself.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast

import msgspec
from msgspec import structs

from headpond.configuration.document import read_text, read_value
from headpond.configuration.masking import MASK, masked
from headpond.configuration.references import BrokenReferenceError, has_references, resolved
from headpond.configuration.shape import (
    allowed,
    is_secret,
    section_of,
    settings,
    takes_null,
    takes_text,
    values_of,
)
from headpond.configuration.written import Leaf, Path, Table, Written, dotted
from headpond.settings import Settings


class Check:
    """One walk. `problems` are sentences that begin with where the trouble stands."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def settings(self, table: Table) -> Settings | None:
        """The settings, None if there are problems."""
        plain = self._section((), Settings, table)
        return None if self.problems else msgspec.convert(plain, Settings)

    def _value(self, path: Path, annotation: Any, written: Written) -> object:
        section, values = section_of(annotation), values_of(annotation)
        match written:
            case Leaf(None) if section is not None and not takes_null(annotation):
                return self._section(path, section, Table({}, written.origin))
            case Table() if section is not None:
                return self._section(path, section, written)
            case Table() if values is not None:
                return {
                    name: self._value((*path, name), values, entry)
                    for name, entry in written.entries.items()
                }
            case Table():
                return self._wrong(path, annotation, "a map", written.origin)
            case Leaf():
                return self._leaf(path, annotation, written)

    def _section(self, path: Path, section: type[msgspec.Struct], table: Table) -> object:
        fields = {field.name: field for field in structs.fields(section)}
        plain: dict[str, object] = {}
        for name, written in table.entries.items():
            if name in fields:
                plain[name] = self._value((*path, name), fields[name].type, written)
            else:
                self._unknown((*path, name), list(fields), written.origin)
        for name, field in fields.items():
            if field.required and name not in table.entries:
                self.problems.append(f"{table.origin}: {dotted((*path, name))} is missing.")
        return plain

    def _leaf(self, path: Path, annotation: Any, leaf: Leaf) -> object:
        try:
            value = self._resolved(leaf, annotation)
        except BrokenReferenceError as error:
            self.problems.append(f"{leaf.origin}: {dotted(path)}: {error}.")
            return None
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError:
            shown = MASK if is_secret(annotation) else masked(_as_written(leaf.value))
            return self._wrong(path, annotation, shown, leaf.origin)

    def _resolved(self, leaf: Leaf, annotation: Any) -> object:
        match leaf.value:
            case str(value) if has_references(value):
                text = resolved(value, self._environ)
                if takes_text(annotation):
                    return read_text(text, leaf.origin).value
                read = read_value(text, leaf.origin)
                return read.value if isinstance(read, Leaf) else text
            case list():
                items = cast("list[object]", leaf.value)
                return [
                    resolved(item, self._environ) if isinstance(item, str) else item
                    for item in items
                ]
            case _:
                return leaf.value

    def _unknown(self, path: Path, known: list[str], origin: str) -> None:
        near = _nearest(path, known)
        hint = f"; did you mean {dotted(near)}?" if near else "."
        place = f"Under {dotted(path[:-1])}" if path[:-1] else "At the top"
        self.problems.append(
            f"{origin}: there is no setting {dotted(path)}{hint} "
            f"{place} there can be: {', '.join(known)}."
        )

    def _wrong(self, path: Path, annotation: Any, got: str, origin: str) -> None:
        self.problems.append(f"{origin}: {dotted(path)} takes {allowed(annotation)}, not {got}.")


def _as_written(value: object) -> str:
    """What is no text as YAML has it: null, not None."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_as_written, cast('list[object]', value)))}]"
        case _:
            return repr(value)


def _nearest(path: Path, known: list[str]) -> Path | None:
    """A setting with almost this name, or one that lies deeper and is called that.

    HEADPOND_GATEWAY_PORT is meant to be HEADPOND_GATEWAY__PORT, and HEADPOND_PORT likewise.
    """
    name = path[-1]
    for setting in settings():
        if not path[:-1] and name in (setting.path[-1], "_".join(setting.path)):
            return setting.path
    near = get_close_matches(name, known, 1)
    return (*path[:-1], near[0]) if near else None
