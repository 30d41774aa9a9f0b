"""A stream of bytes cut into its lines, without ever holding more of it than one line."""

from collections.abc import Iterator

import msgspec

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
        self._rest = bytearray()
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[InputLine]:
        """The lines that end in this piece."""
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._add(part)
            self._end += 1
            yield from self._line()
        self._add(rest)

    def last(self) -> Iterator[InputLine]:
        """The line that no line break ends, if there is one."""
        yield from self._line()

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
