"""Hours in which workers are kept warm: `weekdays 08:45-18:00`, in a time zone.

The hours are those that a clock on the wall shows. So on the night in which the clocks go back
hours between two and three come twice, and when they go forward they do not come.
Hours that end before they begin go on after midnight: `fri 22:00-06:00` ends on Saturday.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from headpond.domain.scaling.rules import Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
FORM = re.compile(r"(?P<days>\S+) +(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)")
LAST_MINUTE = 24 * 60


class Hours(msgspec.Struct, frozen=True):
    """On which days of the week (0 is Monday), from which minute of the day to before which."""

    days: frozenset[int]
    begin: int
    end: int

    def hold(self, at: datetime) -> bool:
        """Whether the local time `at` lies within."""
        minute = at.hour * 60 + at.minute
        if self.begin < self.end:
            return at.weekday() in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return at.weekday() in self.days
        return minute < self.end and (at - timedelta(days=1)).weekday() in self.days


@lru_cache
def hours_of(when: str) -> Hours:
    """The hours that are written so. Raises ValueError with a sentence that says what is wrong."""
    form = FORM.fullmatch(when.strip().lower())
    if form is None:
        raise ValueError("write days and hours like `weekdays 08:45-18:00`")
    days = frozenset(day for part in form["days"].split(",") for day in _days(part))
    begin, end = _minute(form["begin"]), _minute(form["end"])
    if begin == end:
        raise ValueError("the hours end when they begin; all day is 00:00-24:00")
    return Hours(days, begin, end)


@lru_cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone. Raises ValueError if there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(
            f"there is no time zone {name!r}; use a name like Europe/Berlin"
        ) from error


def minimum(schedule: Mapping[str, Window], now: float) -> tuple[int, str | None]:
    """The most workers that a window asks for at a Unix time, and its name; 0 without one."""
    most, asks = 0, None
    for name, window in schedule.items():
        local = datetime.fromtimestamp(now, zone_of(window.zone))
        if window.min > most and hours_of(window.when).hold(local):
            most, asks = window.min, name
    return most, asks


def _days(part: str) -> range | list[int]:
    if part in GROUPS:
        return GROUPS[part]
    first, _, last = part.partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        known = ", ".join((*GROUPS, *DAYS))
        raise ValueError(f"{part!r} is no day; there are {known}, and spans like mon-thu")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [(begin + step) % 7 for step in range((end - begin) % 7 + 1)]


def _minute(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    total = hour * 60 + minute
    if minute >= 60 or total > LAST_MINUTE:  # noqa: PLR2004
        raise ValueError(f"{text} is no time of the day")
    return total
