"""Drawings as SVG: lines over time, one panel above the other."""

import math
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

WIDTH = 960
PANEL_HEIGHT = 120
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 22, 20
TICKS = 3

Point = tuple[float, float]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity over time. `steps`: it holds until the next point; `filled`: down to zero."""

    name: str
    colour: str
    points: Sequence[Point]
    steps: bool = False
    filled: bool = False


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Lines on one scale."""

    title: str
    lines: Sequence[Line]


def chart(panels: Sequence[Panel], span_s: float) -> str:
    """The panels over the same time, from 0 to `span_s`."""
    height = len(panels) * (PANEL_HEIGHT + TOP + BOTTOM)
    body = "".join(
        _panel(panel, number * (PANEL_HEIGHT + TOP + BOTTOM) + TOP, max(span_s, 1.0))
        for number, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>{body}</svg>'
    )


def _panel(panel: Panel, top: float, span_s: float) -> str:
    highest = max((value for line in panel.lines for _, value in line.points), default=0.0)
    most = nice(highest)
    return "".join(
        (
            (
                f'<text x="{LEFT}" y="{top - 7:.0f}" font-weight="600" fill="#1f2933">'
                f"{escape(panel.title)}</text>"
            ),
            _legend(panel.lines, top),
            *_grid(top, most, span_s),
            *(_line(line, top, most, span_s) for line in panel.lines),
        )
    )


def _legend(lines: Sequence[Line], top: float) -> str:
    right = WIDTH - RIGHT
    parts: list[str] = []
    for line in reversed(lines):
        right -= 7 * len(line.name) + 22
        parts.append(
            f'<rect x="{right}" y="{top - 15:.0f}" width="10" height="10" fill="{line.colour}"/>'
            f'<text x="{right + 14}" y="{top - 6:.0f}" fill="#52606d">{escape(line.name)}</text>'
        )
    return "".join(parts)


def _grid(top: float, most: float, span_s: float) -> Iterator[str]:
    for tick in range(TICKS):
        value = most * tick / (TICKS - 1)
        y = _y(value, top, most)
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e7eb"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#7b8794">'
            f"{short(value)}</text>"
        )
    unit_s, name = _unit(span_s)
    every = max(1, math.ceil(span_s / unit_s / 14))
    for number in range(0, math.floor(span_s / unit_s) + 1, every):
        x = _x(number * unit_s, span_s)
        yield (
            f'<text x="{x:.1f}" y="{top + PANEL_HEIGHT + 14:.0f}" text-anchor="middle" '
            f'fill="#7b8794">{number} {name}</text>'
        )


def _line(line: Line, top: float, most: float, span_s: float) -> str:
    if not line.points:
        return ""
    path: list[str] = []
    for at_s, value in line.points:
        x, y = _x(at_s, span_s), _y(value, top, most)
        path.append(f"H{x:.1f}V{y:.1f}" if line.steps and path else f"L{x:.1f},{y:.1f}")
    if line.steps:
        path.append(f"H{_x(span_s, span_s):.1f}")
    drawn = "M" + "".join(path)[1:]
    if not line.filled:
        return f'<path d="{drawn}" fill="none" stroke="{line.colour}" stroke-width="1.3"/>'
    last = span_s if line.steps else line.points[-1][0]
    base = _y(0, top, most)
    closed = (
        f"{drawn}L{_x(last, span_s):.1f},{base:.1f}L{_x(line.points[0][0], span_s):.1f},{base:.1f}Z"
    )
    return f'<path d="{closed}" fill="{line.colour}" stroke="none"/>'


def nice(highest: float) -> float:
    """The least of 1, 2, 5, 10, 20 … that is not below."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= highest - 1e-9)


def short(value: float) -> str:
    """A number in few letters."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.3g}"


def _unit(span_s: float) -> tuple[float, str]:
    for unit_s, name in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if span_s >= 2 * unit_s:
            return unit_s, name
    return 1.0, "s"


def _x(at_s: float, span_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(at_s, span_s) / span_s


def _y(value: float, top: float, most: float) -> float:
    return top + PANEL_HEIGHT * (1 - value / most)
