"""YAML, read into values that know their lines. Safe tags only, no key twice, no aliases."""

import yaml
from typing_extensions import override

from headpond.configuration.written import Leaf, Table, Written
from headpond.errors import SettingsError

DEEPEST = 32
"""Settings need five."""

NULLS = ("", "null")
"""What stands for no text, where nothing can be quoted."""


class Loader(yaml.SafeLoader):
    """Refuses aliases, with which a line would stand in two places, and what nests without end."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            problem = "aliases are not supported"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        if self._depth == DEEPEST:
            problem = f"more than {DEEPEST} brackets or maps stand in each other; remove some"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_anything(self, node: yaml.Node) -> object:
        """The node as plain Python, all the way down."""
        try:
            return super().construct_object(node, deep=True)  # pyright: ignore[reportUnknownMemberType]
        except (ArithmeticError, AttributeError, LookupError, ValueError) as error:
            # So PyYAML meets a 13th month, or a number after !!int that is none.
            problem = "a date or number stands here that does not exist; put text in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def read_document(text: str, name: str) -> Table:
    """A whole file, called `name` in messages. Raises SettingsError."""
    try:
        written = read(text, name)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        message = f"{name}{line}: this is not YAML that Headpond reads: {error.problem}."
        raise SettingsError(message) from error
    except yaml.YAMLError as error:
        message = f"{name}: this is not YAML: {error}."
        raise SettingsError(message.replace("\n", " ")) from error
    match written:
        case Table():
            return written
        case Leaf(None):
            return Table({}, name)
        case Leaf():
            message = f"{written.origin}: a map of settings is expected here, such as `home: data`."
            raise SettingsError(message)


def read(text: str, name: str) -> Written:
    """One value of any kind. Raises yaml.YAMLError, and SettingsError for a key that is twice."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        return Leaf(None, name) if node is None else _written(loader, node, name, node)
    finally:
        loader.dispose()


def read_value(text: str, origin: str) -> Written:
    """A value that stands alone, outside of any file; what is no YAML is plain text."""
    try:
        return _at(read(text, origin), origin)
    except yaml.YAMLError:
        return Leaf(text, origin)


def read_text(text: str, origin: str) -> Leaf:
    """A value that stands alone and is text, which nobody can quote there; null unsets."""
    return Leaf(None if text in NULLS else text, origin)


def _at(written: Written, origin: str) -> Written:
    match written:
        case Leaf():
            return Leaf(written.value, origin)
        case Table(entries):
            return Table({name: _at(entry, origin) for name, entry in entries.items()}, origin)


def _written(loader: Loader, node: yaml.Node, name: str, at: yaml.Node) -> Written:
    """The node's value, said to stand at the line of `at`: its key."""
    origin = f"{name}, line {at.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        return Leaf(loader.construct_anything(node), origin)
    entries: dict[str, Written] = {}
    pairs: list[tuple[yaml.Node, yaml.Node]] = node.value
    for key_node, value_node in pairs:
        key = loader.construct_anything(key_node)
        line = f"{name}, line {key_node.start_mark.line + 1}"
        if not isinstance(key, str):
            raise SettingsError(f"{line}: {key!r} cannot be a key here; put it in quotes.")
        if key in entries:
            raise SettingsError(f"{line}: the key {key!r} stands twice; remove one of them.")
        entries[key] = _written(loader, value_node, name, key_node)
    return Table(entries, origin)
