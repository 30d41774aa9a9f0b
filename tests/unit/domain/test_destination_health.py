"""How long a destination of webhooks is left alone. SPEC G3."""

from headpond.domain.destination_health import (
    LEAVE_ALONE_S,
    MAX_LEAVE_ALONE_S,
    Health,
)
from headpond.domain.dispatch import Replied, Unreached

NOW = 1_000.0
REFUSED = Replied(500)


def test_one_failure_alone_costs_no_pause() -> None:
    assert Health().after(REFUSED, NOW).alone_until == NOW


def test_a_second_failure_in_a_row_costs_one_and_a_success_forgives() -> None:
    once = Health().after(REFUSED, NOW)
    assert once.after(Unreached("No."), NOW).alone_until == NOW + LEAVE_ALONE_S
    well = once.after(Replied(204), NOW)
    assert well.failures == 0
    assert well.after(REFUSED, NOW).alone_until == NOW


def test_a_success_does_not_shorten_the_pause_that_was_wished() -> None:
    asked = Health().after(Replied(429, 60.0), NOW)
    assert asked.alone_until == NOW + 60
    assert asked.after(Replied(200), NOW + 1).alone_until == NOW + 60


def test_a_wish_and_a_long_failure_have_a_bound() -> None:
    assert Health().after(Replied(503, 86_400.0), NOW).alone_until == NOW + MAX_LEAVE_ALONE_S
    failing = Health().after(REFUSED, NOW).after(REFUSED, NOW + 86_400)
    assert failing.alone_until == NOW + 86_400 + MAX_LEAVE_ALONE_S


def test_one_that_fails_for_an_hour_is_asked_less_than_a_hundred_times() -> None:
    health, asked = Health(), 0
    while health.alone_until < 3_600:
        health = health.after(REFUSED, health.alone_until)
        asked += 1
    assert 3_600 / MAX_LEAVE_ALONE_S < asked < 100
