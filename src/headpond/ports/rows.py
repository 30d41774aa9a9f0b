"""Formats: rows of the archive as the bytes of one object."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from headpond.domain.archive import End

Fields: TypeAlias = Mapping[str, Any]
"""A row by the names of its fields, as in `domain/archive.py` unless redaction made it another."""


class Format(Protocol):
    """The same rows are the same bytes each time."""

    @property
    def suffix(self) -> str:
        """What names of objects in this format end with, without the dot."""
        ...

    def encode(self, rows: Sequence[Fields]) -> bytes:
        """The object."""
        ...

    def ends(self, data: bytes) -> list[End]:
        """The ends of jobs that an object's rows are of."""
        ...
