"""A trace by its name on the command line: a file, or a formula with its number."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from headpond.errors import InvalidRequest
from headpond.simulator.traces.arrivals import Arrival, Trace
from headpond.simulator.traces.formulas import (
    DAY_S,
    Formula,
    burst,
    diurnal,
    measured,
    office,
    steady,
)
from headpond.simulator.traces.rates import BURSTINESS, RateTrace
from headpond.simulator.traces.requests import (
    RequestTrace,
    from_audit,
    from_azure,
    from_mooncake,
)

FORMULAS: Mapping[str, tuple[Callable[[float], Formula], float, float]] = {
    "poisson": (steady, 1.0, 1.0),
    "diurnal": (diurnal, BURSTINESS, 7.0),
    "office": (office, BURSTINESS, 7.0),
}
"""Each with its burstiness, and the days that it lasts unless told otherwise."""

BURST = "burst"
BURST_DAYS = 1 / 12

KINDS = (*FORMULAS, BURST)


def read_trace(name: str, *, days: float | None = None, scale: float = 1.0) -> Trace:
    """The trace, cut to so many days, with `scale` times as many requests.

    Raises InvalidRequest for a file or formula that is none.
    """
    kind, colon, number = name.partition(":")
    if colon and kind in KINDS:
        return _formula(name, kind, number, days, scale)
    path = Path(name)
    if colon and kind.isalpha() and not path.exists():
        known = ", ".join(f"{kind}:" for kind in KINDS)
        message = f"There is no formula {kind!r}, nor a file {name!r}; there are {known}."
        raise InvalidRequest(message, code="unreadable_trace", param="--trace")
    return read_file(path, days=days, scale=scale)


def read_file(path: Path, *, days: float | None = None, scale: float = 1.0) -> Trace:
    """The trace in a file; its first line tells which kind it is."""
    try:
        lines = path.read_text().splitlines()
        return _read(path.stem, lines, days, scale)
    except OSError as error:
        message = f"The trace {path} cannot be read: {error.strerror}."
        raise InvalidRequest(message, code="unreadable_trace", param="--trace") from error
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        message = f"{path} is not a trace that Headpond knows: {error}."
        raise InvalidRequest(message, code="unreadable_trace", param="--trace") from error


def _read(name: str, lines: list[str], days: float | None, scale: float) -> Trace:
    first = lines[0] if lines else ""
    if first.startswith("t_s,"):
        flow, span_s = measured(lines, scale)
        return RateTrace(name, flow, span_s=_cut(span_s, days))
    if first.startswith("TIMESTAMP,"):
        return request_trace(name, from_azure(lines), days=days, scale=scale)
    if first.startswith("{") and "timestamp" in json.loads(first):
        return request_trace(name, from_mooncake(lines), days=days, scale=scale)
    return request_trace(name, from_audit(lines), days=days, scale=scale)


def request_trace(
    name: str, arrivals: list[Arrival], *, days: float | None = None, scale: float = 1.0
) -> Trace:
    """Requests that were listed. Raises ValueError if there are none."""
    if not arrivals:
        raise ValueError("it holds no request")
    return RequestTrace(name, arrivals, span_s=_cut(arrivals[-1].at_s + 1, days), scale=scale)


def _formula(name: str, kind: str, number: str, days: float | None, scale: float) -> Trace:
    try:
        value = float(number) * scale
        if value <= 0:
            raise ValueError  # noqa: TRY301 - the same mistake as no number at all
    except ValueError:
        message = f"{name!r}: {kind} takes a positive number, as in {kind}:2."
        raise InvalidRequest(message, code="invalid_value", param="--trace") from None
    if kind == BURST:
        span_s = (BURST_DAYS if days is None else days) * DAY_S
        return RequestTrace(name, burst(round(value)), span_s=span_s)
    formula, burstiness, usual_days = FORMULAS[kind]
    span_s = (usual_days if days is None else days) * DAY_S
    return RateTrace(name, formula(value), span_s=span_s, burstiness=burstiness)


def _cut(span_s: float, days: float | None) -> float:
    return span_s if days is None else min(span_s, days * DAY_S)
