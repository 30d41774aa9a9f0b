"""A stream of bytes cut into its lines, without ever holding more of it than one line."""

import re
from collections.abc import Iterator

import msgspec

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

BLANKS = 64
"""Bytes of the longest blank line that is skipped together with its neighbours."""


class InputLine(msgspec.Struct, frozen=True):
    """A line that is not blank. `number` counts all lines from 1; `end` is where the next begins.

    `text` is None where the line is longer than allowed.
    """

    number: int
    end: int
    text: bytes | None


class LineCutter:
    """Cuts what it is fed. Begins after `lines` lines, which took `offset` bytes."""

    def __init__(self, *, lines: int, offset: int, max_bytes: int) -> None:
        self._number = lines
        self._end = offset
        self._max_bytes = max_bytes
        blank = rf"[ \t\r\f\v]{{0,{min(BLANKS, max_bytes)}}}+\n"
        self._blank_lines = re.compile(rf"(?:{blank})++".encode())
        self._rest = bytearray()
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[InputLine]:
        """The lines that end in this piece."""
        start = self._skip_blank_lines(piece, 0)
        while (stop := piece.find(b"\n", start)) >= 0:
            self._add(piece[start:stop])
            self._end += 1
            yield from self._line()
            start = self._skip_blank_lines(piece, stop + 1)
        self._add(piece[start:])

    def last(self) -> Iterator[InputLine]:
        """The line that no line break ends, if there is one."""
        yield from self._line()

    def _skip_blank_lines(self, piece: bytes, start: int) -> int:
        """Where the next line with a text may begin: of blank lines alone, a piece has many."""
        blank = self._blank_lines.match(piece, start)
        if blank is None or self._rest or self._too_long:
            return start
        self._number += piece.count(b"\n", start, blank.end())
        self._end += blank.end() - start
        return blank.end()

    def _add(self, part: bytes) -> None:
        self._end += len(part)
        if len(self._rest) + len(part) > self._max_bytes:
            self._too_long = True
            self._rest.clear()
        if not self._too_long:
            self._rest += part

    def _line(self) -> Iterator[InputLine]:
        self._number += 1
        text = bytes(self._rest).removeprefix(BYTE_ORDER_MARK if self._number == 1 else b"").strip()
        if self._too_long:
            yield InputLine(self._number, self._end, None)
        elif text:
            yield InputLine(self._number, self._end, text)
        self._rest.clear()
        self._too_long = False
