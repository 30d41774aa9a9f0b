"""How fast a pool works, from what its workers report.

A worker's rate is what its engine does when it is full: as many requests at once as it has room
for, each taking as long a token as lately measured. So the rate is known without waiting for a
full engine, and follows within some hundred jobs when a fuller engine turns out slower.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from headpond.domain.calibration import Calibration, Spread, pooled
from headpond.domain.throughput import Throughput

FRESH_S = 10.0
"""A report older than this is of a worker that is gone; one comes each second."""


class Regime(StrEnum):
    """What a forecast was mostly made of: the errors of each kind have a spread of their own."""

    RUN = "run"
    WAIT = "wait"
    COLD_START = "cold_start"


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself at Unix time `at`; it has run since `started_at`.

    `capacity` is the most requests that its engine has had room for, `token_s` the mean seconds
    of a run per token of its job's `work_tokens`, `cold_start_s` the seconds from the worker's
    start until the engine was healthy. None is not measured yet. A worker goes on with the
    calibrations of the one before it.

    `run_s` is the mean seconds of a run, `full` what was done while the engine was full.
    """

    worker: str
    pool: str
    at: float
    started_at: float
    healthy: bool
    in_flight: int
    capacity: int
    token_s: float | None = None
    run_s: float | None = None
    full: Throughput = Throughput()
    cold_start_s: float | None = None
    calibrations: Mapping[Regime, Calibration] = {}


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """A pool at one moment. `rate` is tokens of work a second, `free` the jobs that find room.

    Both are of the workers that are ready. With none ready they are those of one worker, and
    `ready_in_s` is the seconds until there is one, 0 if that was expected before now.
    """

    rate: float
    token_s: float
    free: int
    ready_in_s: float | None = None
    spreads: Mapping[Regime, Spread] = {}


def pace_of(reports: Sequence[WorkerReport], now: float) -> Pace | None:
    """The pace of the pool that wrote the reports, the newest first.

    None where too little was measured to say.
    """
    token_s = _mean([report.token_s for report in reports])
    if token_s is None:
        return None
    fresh = [report for report in reports if 0 <= now - report.at < FRESH_S]
    spreads = _spreads(fresh or reports[:1])
    ready = [report for report in fresh if report.healthy]
    if ready:
        rate = sum(report.capacity / (report.token_s or token_s) for report in ready)
        free = sum(max(0, report.capacity - report.in_flight) for report in ready)
        return Pace(rate=rate, token_s=token_s, free=free, spreads=spreads)
    cold_start_s = _mean([report.cold_start_s for report in reports])
    if cold_start_s is None:
        return None
    under_way_s = max((now - report.started_at for report in fresh), default=0.0)
    capacity = max(report.capacity for report in reports)
    return Pace(
        rate=capacity / token_s,
        token_s=token_s,
        free=capacity,
        ready_in_s=max(0.0, cold_start_s - under_way_s),
        spreads=spreads,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _spreads(reports: Sequence[WorkerReport]) -> dict[Regime, Spread]:
    return {
        regime: pooled(
            [report.calibrations.get(regime, Calibration()) for report in reports]
        ).spread()
        for regime in Regime
    }
