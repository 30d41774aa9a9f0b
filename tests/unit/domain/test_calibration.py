"""A stretch finds the level at which as many jobs are late as asked for."""

from random import Random

import pytest

from headpond.domain.calibration import WINDOW, Calibration


def late_share(calibration: Calibration, errors: list[float]) -> tuple[float, float]:
    """The shares after p50 and after p90 when jobs end with these errors, one after the other."""
    after_p50 = after_p90 = 0
    for error in errors:
        spread = calibration.spread()
        late = (False, False) if spread is None else (error > spread.p50, error > spread.p90)
        after_p50 += late[0]
        after_p90 += late[1]
        calibration.learn(error, after_p50=late[0], after_p90=late[1])
    return after_p50 / len(errors), after_p90 / len(errors)


def test_before_the_first_error_there_is_nothing_to_say() -> None:
    assert Calibration().spread() is None


def test_one_in_ten_is_late_also_while_errors_drift() -> None:
    random = Random(1)
    errors = [random.lognormvariate(step / 4000, 0.4) for step in range(8000)]
    p50, p90 = late_share(Calibration(), errors)
    assert p50 == pytest.approx(0.5, abs=0.02)
    assert p90 == pytest.approx(0.1, abs=0.01)


def test_a_run_of_late_jobs_reaches_beyond_the_largest_error() -> None:
    calibration = Calibration()
    for _ in range(WINDOW):
        calibration.learn(2.0, after_p50=True, after_p90=True)
    spread = calibration.spread()
    assert spread is not None
    assert spread.p90 > 2.0
    assert spread.samples == WINDOW
