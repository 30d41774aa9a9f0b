"""Answers that stay good for a moment, in bounded memory."""

from headpond.services.remembered import Remembered
from headpond.testing.clocks import ManualClock


def test_an_answer_is_good_for_its_time() -> None:
    clock = ManualClock()
    remembered = Remembered[str, int](clock, ttl_s=1.0, limit=10)
    remembered.put("a", 1)

    clock.advance(0.75)
    assert remembered.get("a") == 1
    clock.advance(0.25)
    assert remembered.get("a") is None
    assert remembered.get("b") is None


def test_a_clock_that_jumps_back_makes_answers_old() -> None:
    clock = ManualClock()
    remembered = Remembered[str, int](clock, ttl_s=1.0, limit=10)
    remembered.put("a", 1)
    clock.advance(-1)

    assert remembered.get("a") is None


def test_the_oldest_answer_makes_room() -> None:
    remembered = Remembered[str, int](ManualClock(), ttl_s=1.0, limit=2)
    for number, name in enumerate("abac"):
        remembered.put(name, number)

    assert [remembered.get(name) for name in "abc"] == [2, None, 3]
