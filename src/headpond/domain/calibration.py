"""How far a forecast is to be stretched so that nine of ten jobs end in time.

Adaptive conformal inference (I. Gibbs, E. Candes, NeurIPS 2021): the stretch is a quantile of the
latest errors, and the quantile's own level moves a step up after each job that came too late and a
smaller step down after each that did not. In the long run the share of late jobs is what was asked
for, however the errors drift.
"""

from collections import deque
from collections.abc import Iterable

from headpond.domain.pace import Spread
from headpond.domain.statistics import percentile

WINDOW = 256
STEP = 0.01
"""Of the level, after a job that was late or not: larger follows faster, smaller swings less."""

BEYOND = 4.0
"""Where even the largest error of the window is too small: so much more for a level of 1 more."""


class Stretch:
    """The quantile of errors that a `share` of jobs should stay below."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._level = share

    def learn(self, *, late: bool) -> None:
        """A job ended, late or not, by what this stretch made of its forecast."""
        self._level += STEP * (self._share if late else self._share - 1)
        self._level = min(max(self._level, 0.0), 2.0)

    def of(self, errors: Iterable[float]) -> float:
        """The factor for the next forecasts; there must be an error."""
        level = self._level
        return percentile(list(errors), min(level, 1.0)) * (1 + BEYOND * max(0.0, level - 1))


class Calibration:
    """The latest errors, each (seconds that it took / seconds forecast), and two stretches."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=WINDOW)
        self._p50 = Stretch(0.5)
        self._p90 = Stretch(0.9)

    def learn(self, error: float, *, after_p50: bool, after_p90: bool) -> None:
        """A job ended."""
        self._errors.append(error)
        self._p50.learn(late=after_p50)
        self._p90.learn(late=after_p90)

    def spread(self) -> Spread | None:
        """What to make of a forecast now, None before the first error."""
        if not self._errors:
            return None
        return Spread(len(self._errors), self._p50.of(self._errors), self._p90.of(self._errors))
