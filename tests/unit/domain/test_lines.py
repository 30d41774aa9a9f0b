import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headpond.domain.lines import BYTE_ORDER_MARK, InputLine, LineCutter

LINES = st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"x")) | st.text(
    " \t\r", max_size=3
).map(str.encode)


def cut(text: bytes, sizes: list[int], *, max_bytes: int = 1_000) -> list[InputLine]:
    """The lines of the text, fed in pieces of these sizes, the rest at once."""
    cutter = LineCutter(lines=0, offset=0, max_bytes=max_bytes)
    lines: list[InputLine] = []
    for size in sizes:
        lines += cutter.feed(text[:size])
        text = text[size:]
    return [*lines, *cutter.feed(text), *cutter.last()]


@given(
    st.lists(LINES),
    st.lists(st.integers(0, 9)),
)
def test_lines_are_the_same_whatever_the_pieces(lines: list[bytes], sizes: list[int]) -> None:
    text = b"\n".join(lines)
    assume(not text.startswith(BYTE_ORDER_MARK))
    ends = [len(b"\n".join([*lines[: number + 1], b""])) for number in range(len(lines))]
    expected = [
        InputLine(number, min(end, len(text)), line.strip())
        for number, (line, end) in enumerate(zip(lines, ends, strict=True), start=1)
        if line.strip()
    ]
    assert cut(text, sizes) == expected


def test_a_long_line_is_not_kept_and_the_next_one_is_found() -> None:
    text = b"x" * 50 + b"\nshort\n" + b"y" * 11
    lines = [InputLine(1, 51, None), InputLine(2, 57, b"short"), InputLine(3, 68, None)]
    assert cut(text, [7] * 5, max_bytes=10) == lines


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert cut(b"\xef\xbb\xbf{}\r\n\xef\xbb\xbf", []) == [
        InputLine(1, 7, b"{}"),
        InputLine(2, 10, b"\xef\xbb\xbf"),
    ]


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t \n"])
def test_blank_lines_are_skipped_in_bulk(blank: bytes) -> None:
    piece = blank * (2**18 // len(blank)) + b"x\n"
    cutter = LineCutter(lines=0, offset=0, max_bytes=1_000)
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        lines = list(cutter.feed(piece))
    finally:
        sys.setprofile(None)
    assert lines == [InputLine(piece.count(b"\n"), len(piece), b"x")]
    assert steps < 100


def test_a_blank_line_can_be_too_long() -> None:
    assert cut(b"\n \n" + b" " * 11 + b"\n", [], max_bytes=10) == [InputLine(3, 15, None)]


def test_lines_are_counted_on_from_where_somebody_left_off() -> None:
    cutter = LineCutter(lines=4, offset=100, max_bytes=10)
    assert list(cutter.feed(b"a\n")) == [InputLine(5, 102, b"a")]
