"""Hours in which workers are kept warm."""

from datetime import UTC, datetime

import pytest

from headpond.domain.scaling.rules import Window
from headpond.domain.scaling.schedule import hours_of, minimum, zone_of


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


OFFICE = {"office": Window(when="weekdays 08:45-18:00", zone="Europe/Berlin", min=2)}


@pytest.mark.parametrize(
    ("utc", "workers"),
    [
        ("2026-11-30T07:44", 0),
        ("2026-11-30T07:45", 2),  # winter: 08:45 in Berlin
        ("2026-11-30T16:59", 2),
        ("2026-11-30T17:00", 0),
        ("2026-11-29T10:00", 0),  # a Sunday
        ("2026-07-01T06:45", 2),  # summer: an hour earlier
        ("2026-07-01T06:44", 0),
    ],
)
def test_hours_are_those_of_a_clock_on_the_wall(utc: str, workers: int) -> None:  # SPEC S3
    assert minimum(OFFICE, at(utc))[0] == workers


def test_hours_that_the_clocks_skip_do_not_come_and_those_they_repeat_come_twice() -> None:
    night = {"night": Window(when="sun 02:15-02:45", zone="Europe/Berlin")}
    spring = [minimum(night, at("2026-03-29T00:00") + 60 * minute)[0] for minute in range(180)]
    autumn = [minimum(night, at("2026-10-25T00:00") + 60 * minute)[0] for minute in range(180)]
    assert (sum(spring), sum(autumn)) == (0, 60)


def test_hours_go_on_after_midnight_and_the_most_of_several_counts() -> None:
    schedule = {
        "late": Window(when="fri 22:00-06:00"),
        "more": Window(when="sat,sun 05:00-24:00", min=3),
    }
    assert minimum(schedule, at("2026-11-28T04:59")) == (1, "late")
    assert minimum(schedule, at("2026-11-28T05:30")) == (3, "more")
    assert minimum(schedule, at("2026-11-27T21:59")) == (0, None)
    assert minimum(schedule, at("2026-11-27T22:00")) == (1, "late")


@pytest.mark.parametrize(
    "when",
    [
        "",
        "weekdays",
        "someday 08:00-09:00",
        "mon 08:00-08:00",
        "mon 24:01-08:00",
        "mon 08:60-09:00",
    ],
)
def test_hours_that_make_no_sense_are_refused(when: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        hours_of(when)


def test_days_go_around_the_week() -> None:
    assert hours_of("sat-mon 00:00-24:00").days == {5, 6, 0}


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Mars"):
        zone_of("Mars/Olympus")
