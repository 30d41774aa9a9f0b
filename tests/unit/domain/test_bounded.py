"""Names that are too long where they are written keep what tells them apart."""

from urllib.parse import quote, unquote

from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.bounded import DIGEST_CHARS, bounded
from headpond.domain.destination import ORIGIN_BYTES, destination_of
from headpond.domain.webhook_endpoint import EndpointId

MOST = 60

names = st.text(st.characters(codec="utf-8"), max_size=200)


def quoted(name: str) -> str:
    return bounded(name, MOST, write=lambda text: quote(text, safe=""), before_digest="%7E")


@given(names)
def test_what_fits_stays_and_all_else_is_made_to_fit(name: str) -> None:
    written = bounded(name, MOST)
    assert len(written.encode()) <= MOST
    assert (written == name) == (len(name.encode()) <= MOST)
    assert name.startswith(written[: -DIGEST_CHARS - 1]) or written == name
    assert bounded(written, MOST) == written


@given(names)
def test_no_sign_is_written_in_part(name: str) -> None:
    written = quoted(name)
    assert len(written) <= MOST
    begin, _, digest = written.partition("%7E")
    assert name.startswith(unquote(begin, errors="strict"))
    assert digest or unquote(begin) == name


@given(names, names)
def test_two_names_are_written_as_two(one: str, other: str) -> None:
    long = "x" * MOST
    for a, b in ((one, other), (long + one, long + other), (one + long, other + long)):
        assert (quoted(a) == quoted(b)) == (a == b)


def test_room_is_used_up_to_the_last_byte() -> None:
    assert bounded("x" * MOST, MOST) == "x" * MOST
    assert len(bounded("x" * (MOST + 1), MOST)) == MOST
    assert bounded("ü" * MOST, MOST).startswith("ü" * 13 + "~")


def test_a_short_origin_is_as_it_was_and_a_long_one_is_bounded() -> None:
    to = EndpointId("callbacks:team")
    longest = f"https://{'a' * 253}.:65535"
    assert destination_of(to, f"{longest}/hook").origin == longest
    assert len(destination_of(to, f"https://{'a' * 1_044}/hook").origin) == ORIGIN_BYTES
