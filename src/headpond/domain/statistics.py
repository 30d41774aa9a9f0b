"""How sure a share is, and where most of many values lie."""

import math
from collections.abc import Sequence

NORMAL_95 = 1.959964


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Unlike the usual plus-or-minus it stays between 0 and 1 when the proportion is close to 1.
    """
    if total == 0:
        return 0.0, 1.0
    share, z2 = right / total, NORMAL_95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    spread = math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    half = NORMAL_95 / (1 + z2 / total) * spread
    return max(0.0, centre - half), min(1.0, centre + half)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed.

    There must be at least one value.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
