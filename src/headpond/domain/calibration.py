"""How far a forecast is to be stretched so that nine of ten jobs end in time.

Adaptive conformal inference (I. Gibbs, E. Candes, NeurIPS 2021): the stretch is a quantile of the
latest errors, and the quantile's own level moves a step up after each job that came too late and a
smaller step down after each that did not. In the long run the share of late jobs is what was asked
for, however the errors drift.
"""

from collections.abc import Sequence

import msgspec

from headpond.domain.statistics import percentile

WINDOW = 128
STEP = 0.01
"""Of the level, after a job that was late or not: larger follows faster, smaller swings less."""

BEYOND = 4.0
"""Where even the largest error of the window is too small: so much more for a level of 1 more."""

MAX_LEVEL = 2.0


class Spread(msgspec.Struct, frozen=True):
    """What becomes of a forecast of 1: half of the jobs end by `p50`, nine of ten by `p90`."""

    p50: float
    p90: float


UNMEASURED = Spread(1.0, 2.0)
"""Until there are errors, a forecast may well be wrong by a factor of two."""


class Calibration(msgspec.Struct, frozen=True, omit_defaults=True):
    """The latest errors, each (seconds that it took / seconds forecast), and quantiles' levels."""

    errors: tuple[float, ...] = ()
    p50: float = 0.5
    p90: float = 0.9

    def learned(self, error: float, *, after_p50: bool, after_p90: bool) -> "Calibration":
        """A job ended, late or not by what it was told."""
        return Calibration(
            (*self.errors[1 - WINDOW :], round(error, 4)),
            _moved(self.p50, 0.5, late=after_p50),
            _moved(self.p90, 0.9, late=after_p90),
        )

    def spread(self) -> Spread:
        """What to make of a forecast now."""
        if not self.errors:
            return UNMEASURED
        return Spread(_stretch(self.errors, self.p50), _stretch(self.errors, self.p90))


def pooled(calibrations: Sequence[Calibration]) -> Calibration:
    """One of many, each counting by its errors."""
    errors = tuple(error for calibration in calibrations for error in calibration.errors)
    if not errors:
        return Calibration()
    shares = [(len(calibration.errors) / len(errors), calibration) for calibration in calibrations]
    return Calibration(
        errors,
        sum(share * calibration.p50 for share, calibration in shares),
        sum(share * calibration.p90 for share, calibration in shares),
    )


def _moved(level: float, share: float, *, late: bool) -> float:
    step = STEP * (share if late else share - 1)
    return min(max(level + step, 0.0), MAX_LEVEL)


def _stretch(errors: Sequence[float], level: float) -> float:
    return percentile(errors, min(level, 1.0)) * (1 + BEYOND * max(0.0, level - 1))
