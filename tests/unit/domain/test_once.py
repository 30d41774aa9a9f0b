"""What is worth saying is said once, as far as it is remembered."""

from headpond.domain.once import Once


def test_a_thing_is_new_once() -> None:
    once = Once(2)
    assert [once.is_new(thing) for thing in (b"a", "b", b"a", "b")] == [True, True, False, False]


def test_what_was_said_first_is_forgotten_first() -> None:
    once = Once(2)
    assert all(once.is_new(thing) for thing in "abc")
    assert [once.is_new(thing) for thing in "cba"] == [False, False, True]
