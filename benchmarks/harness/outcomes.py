"""What came of measuring one subject in one round."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """The values of one subject in one round, or the reason why there are none.

    `values` is keyed by metric.  `facts` are the subject's promises and settings in words.
    `fsync_ms` is the disk's fsync time around the measurement, 0 where there is none.
    """

    subject: str
    round: int
    values: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    fsync_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the report."""

    key: str
    heading: str
    more_is_better: bool
