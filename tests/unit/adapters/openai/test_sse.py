"""Events are read however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.adapters.openai.sse import EventReader


def read(*chunks: bytes) -> list[bytes]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_are_known(end: bytes) -> None:
    stream = end.join([b"data: a", b"", b"data: b", b"", b""])
    assert read(stream, b": \n") == [b"a", b"b"]


def test_what_is_no_data_is_passed_over() -> None:
    assert read(b": hello\nid: 1\nevent: x\ndata\n\n\nretry: 5\n\ndata:a\n\n") == [b"", b"a"]


def test_lines_of_one_event_are_one_text() -> None:
    assert read(b"data: a\ndata:  b\n\n") == [b"a\n b"]


def test_an_event_without_its_end_is_none() -> None:
    assert read(b"data: a\n") == []


@given(
    st.lists(st.text(alphabet="aé✓😀:", max_size=6), min_size=1, max_size=4),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.data(),
)
def test_bytes_may_be_cut_anywhere(texts: list[str], end: bytes, data: st.DataObject) -> None:
    stream = b"".join(b"data: " + text.encode() + end + end for text in texts) + b":" + end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [
        stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert read(*chunks) == [text.encode() for text in texts]
