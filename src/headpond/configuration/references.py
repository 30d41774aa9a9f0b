"""Secrets by reference: `${NAME}` is a variable's value, `${file:PATH}` a file's text."""

import re
from collections.abc import Mapping
from pathlib import Path

REFERENCE = re.compile(r"\$\$\{|\$\{(?P<file>file:)?(?P<name>[^}]*)\}")

IN_USERINFO = re.compile(r"(?P<scheme>postgresql|rediss?)(?:\+cluster)?://[^/@]*")
MISREAD = {
    "postgresql": re.compile(r"[/?#@\[\]\s]|%(?![0-9A-Fa-f]{2})"),
    "redis": re.compile(r"[/?#\[\]]"),
    "rediss": re.compile(r"[/?#\[\]]"),
}
"""What a user or password must not have in these URLs; keys of others may have slashes."""


class BrokenReferenceError(Exception):
    """A reference leads nowhere."""


def has_references(text: str) -> bool:
    """Whether there is anything to resolve, `$${` (which stands for `${`) included."""
    return REFERENCE.search(text) is not None


def is_reference(text: str) -> bool:
    """Whether one reference is all that is written."""
    found = REFERENCE.fullmatch(text)
    return found is not None and found["name"] is not None


def with_marks(text: str, mark: str) -> str:
    """The text with a mark for each reference."""
    return REFERENCE.sub(lambda found: "${" if found["name"] is None else mark, text)


def resolved(text: str, environ: Mapping[str, str]) -> str:
    """The text with references replaced. Raises BrokenReferenceError.

    So does a user or password that would be taken for another part of its URL.
    """

    def replacement(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "${"
        value = _file(found["name"]) if found["file"] else _variable(found["name"], environ)
        if _misread(text, found, value):
            message = (
                f"the value of {found[0]} has characters that mean something in a URL; write them "
                "by their codes there, such as %40 for @ and %25 for %"
            )
            raise BrokenReferenceError(message)
        return value

    return REFERENCE.sub(replacement, text)


def _misread(text: str, found: re.Match[str], value: str) -> bool:
    """Whether the value, where it stands, would be taken for another part of the URL."""
    before = IN_USERINFO.fullmatch(with_marks(text[: found.start()], "x"))
    if before is None or "@" not in text[found.end() :]:
        return False
    return MISREAD[before["scheme"]].search(value) is not None


def _variable(name: str, environ: Mapping[str, str]) -> str:
    try:
        return environ[name]
    except KeyError as error:
        message = f"the environment variable {name} is not set"
        raise BrokenReferenceError(message) from error


def _file(path: str) -> str:
    """Without the line break that editors put at the end."""
    try:
        return Path(path).expanduser().read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"the file {path} cannot be read: {why}"
        raise BrokenReferenceError(message) from error
