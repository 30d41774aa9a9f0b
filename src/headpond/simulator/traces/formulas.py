"""Rates by a formula, and rates that were measured.

poisson:RATE          as many all the time
diurnal:RATE          a sine over the day around RATE, from 0.2 to 1.8 times as many
office:RATE           8:00 to 18:00 on five days of seven, and nothing besides
burst:COUNT           so many within a minute, evenly, and nothing besides
"""

import csv
import math
from collections.abc import Callable, Iterable

from headpond.simulator.traces.arrivals import Arrival
from headpond.simulator.traces.rates import Flow

DAY_S = 86_400.0
WEEKDAYS = 5
OFFICE_OPENS_H = 8
OFFICE_CLOSES_H = 18
SWING = 0.8
QUIETEST_H = 3
BURST_S = 60.0

PROMPT_TOKENS = 300.0
ANSWER_TOKENS = 50.0
"""The article's mean request."""

Formula = Callable[[float], Flow]


def flowing(per_s: Callable[[float], float]) -> Formula:
    """Requests of the article's mean lengths."""
    return lambda at_s: Flow(per_s(at_s), PROMPT_TOKENS, ANSWER_TOKENS)


def steady(rate: float) -> Formula:
    """As many all the time."""
    return flowing(lambda _: rate)


def diurnal(rate: float) -> Formula:
    """A sine around `rate`, lowest at three in the morning."""

    def per_s(at_s: float) -> float:
        turn = 2 * math.pi * (at_s / DAY_S - QUIETEST_H / 24)
        return rate * (1 - SWING * math.cos(turn))

    return flowing(per_s)


def office(rate: float) -> Formula:
    """Within office hours only; the trace begins on a Monday at midnight."""
    return flowing(lambda at_s: rate if in_office(at_s) else 0.0)


def in_office(at_s: float) -> bool:
    """Whether somebody works then."""
    hour, day = at_s % DAY_S / 3600, int(at_s // DAY_S) % 7
    return day < WEEKDAYS and OFFICE_OPENS_H <= hour < OFFICE_CLOSES_H


def burst(count: int) -> list[Arrival]:
    """All within the first minute."""
    tokens = round(PROMPT_TOKENS), round(ANSWER_TOKENS)
    return [Arrival(number * BURST_S / count, *tokens) for number in range(count)]


def measured(lines: Iterable[str], scale: float) -> tuple[Formula, float]:
    """Rates from a CSV (t_s, req_per_s, mean_input_tokens, mean_output_tokens), and their span.

    The rate of a row holds until the next one. Raises ValueError, KeyError.
    """
    rows = list(csv.DictReader(lines))
    times = [float(row["t_s"]) for row in rows]
    flows = [
        Flow(
            float(row["req_per_s"]) * scale,
            float(row["mean_input_tokens"] or 0),
            float(row["mean_output_tokens"] or 0),
        )
        for row in rows
    ]
    every_s = times[1] - times[0]
    return (lambda at_s: flows[min(len(flows) - 1, int(at_s / every_s))]), every_s * len(flows)
