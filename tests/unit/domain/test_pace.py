"""How fast a pool is, from its workers' reports."""

from typing import Any

import pytest

from headpond.domain.calibration import UNMEASURED, Calibration, Spread
from headpond.domain.pace import FRESH_S, Regime, WorkerReport, pace_of

NOW = 1_000_000.0


def a_report(**fields: Any) -> WorkerReport:
    """A worker that is well and busy with 4 of 16, if nothing else is said."""
    given: dict[str, Any] = {
        "worker": "w",
        "pool": "default",
        "at": NOW - 1,
        "started_at": NOW - 100,
        "healthy": True,
        "in_flight": 4,
        "capacity": 16,
        "token_s": 0.01,
        "cold_start_s": 30.0,
    }
    return WorkerReport(**(given | fields))


def test_ready_workers_add_up() -> None:
    pace = pace_of([a_report(), a_report(worker="v", capacity=8, token_s=0.02)], NOW)
    assert pace is not None
    assert pace.rate == pytest.approx(16 / 0.01 + 8 / 0.02)
    assert pace.token_s == pytest.approx(0.015)
    assert pace.free == 12 + 4
    assert pace.ready_in_s is None


def test_a_new_worker_is_taken_to_be_as_fast_as_the_others() -> None:
    pace = pace_of([a_report(), a_report(worker="v", token_s=None)], NOW)
    assert pace is not None
    assert pace.rate == pytest.approx(2 * 16 / 0.01)


@pytest.mark.parametrize(
    "reports",
    [[], [a_report(token_s=None)], [a_report(healthy=False, cold_start_s=None)]],
    ids=["nobody", "nothing ran yet", "no cold start was seen"],
)
def test_what_was_not_measured_is_not_guessed(reports: list[WorkerReport]) -> None:
    assert pace_of(reports, NOW) is None


def test_a_pool_at_zero_needs_a_cold_start() -> None:
    gone = a_report(at=NOW - FRESH_S)
    pace = pace_of([gone], NOW)
    assert pace is not None
    assert pace.ready_in_s == 30.0
    assert (pace.rate, pace.free) == (pytest.approx(1600), 16)


@pytest.mark.parametrize(("since_s", "left_s"), [(10, 20.0), (60, 0.0)])
def test_a_cold_start_that_is_under_way_needs_less(since_s: float, left_s: float) -> None:
    starting = a_report(healthy=False, started_at=NOW - since_s, token_s=None, cold_start_s=None)
    pace = pace_of([starting, a_report(at=NOW - 999)], NOW)
    assert pace is not None
    assert pace.ready_in_s == left_s


def test_calibrations_of_workers_that_are_there_go_together() -> None:
    reports = [
        a_report(calibrations={Regime.WAIT: Calibration((1.0, 2.0, 3.0))}),
        a_report(worker="v", calibrations={Regime.WAIT: Calibration((4.0,))}),
        a_report(worker="gone", at=NOW - 99, calibrations={Regime.WAIT: Calibration((9.0,) * 9)}),
    ]
    pace = pace_of(reports, NOW)
    assert pace is not None
    assert pace.spreads[Regime.WAIT] == Spread(2.0, 4.0)
    assert pace.spreads[Regime.RUN] == UNMEASURED


def test_at_zero_the_newest_calibration_counts() -> None:
    reports = [
        a_report(at=NOW - 50, calibrations={Regime.COLD_START: Calibration((1.5,))}),
        a_report(at=NOW - 99, calibrations={Regime.COLD_START: Calibration((9.0,))}),
    ]
    pace = pace_of(reports, NOW)
    assert pace is not None
    assert pace.spreads[Regime.COLD_START] == Spread(1.5, 1.5)
