"""A stretch finds the level at which as many jobs are late as asked for."""

from random import Random

import pytest

from headpond.domain.calibration import UNMEASURED, WINDOW, Calibration, pooled


def late_shares(errors: list[float]) -> tuple[float, float]:
    """The shares after p50 and after p90 when jobs end with these errors, one after the other."""
    calibration = Calibration()
    after_p50 = after_p90 = 0
    for error in errors:
        spread = calibration.spread()
        late = (error > spread.p50, error > spread.p90)
        after_p50 += late[0]
        after_p90 += late[1]
        calibration = calibration.learned(error, after_p50=late[0], after_p90=late[1])
    return after_p50 / len(errors), after_p90 / len(errors)


def test_before_the_first_error_the_guess_is_wide() -> None:
    assert Calibration().spread() == pooled([]).spread() == UNMEASURED


def test_one_in_ten_is_late_also_while_errors_drift() -> None:
    random = Random(1)
    p50, p90 = late_shares([random.lognormvariate(step / 4000, 0.4) for step in range(8000)])
    assert p50 == pytest.approx(0.5, abs=0.02)
    assert p90 == pytest.approx(0.1, abs=0.01)


def test_a_run_of_late_jobs_reaches_beyond_the_largest_error() -> None:
    calibration = Calibration()
    for _ in range(2 * WINDOW):
        calibration = calibration.learned(2.0, after_p50=True, after_p90=True)
    assert calibration.spread().p90 > 2.0
    assert len(calibration.errors) == WINDOW


def test_calibrations_count_by_their_errors() -> None:
    both = pooled([Calibration((1.0,) * 3, 0.5, 0.9), Calibration((2.0,), 0.7, 0.5), Calibration()])
    assert both.errors == (1.0, 1.0, 1.0, 2.0)
    assert (both.p50, both.p90) == (pytest.approx(0.55), pytest.approx(0.8))
