"""What a decision hands on to the next; plain data, for JSON."""

import msgspec

from headpond.domain.scaling.arrivals import Arrivals
from headpond.domain.scaling.season import Season

Past = Arrivals | Season
"""What a policy remembers; each takes what it finds of its own kind."""


class High(msgspec.Struct, frozen=True, array_like=True):
    """How many workers were wanted at a time."""

    at: float
    workers: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Times are None for never. `past` is the policy's own memory.

    `highs` are the wishes within the cooldown that no later one reached, so they fall.
    """

    target: int | None = None
    raised_at: float | None = None
    changed_at: float | None = None
    highs: tuple[High, ...] = ()
    past: Past | None = None


def with_high(highs: tuple[High, ...], workers: int, now: float, span_s: float) -> tuple[High, ...]:
    """The highs of the last `span_s` seconds, this one included."""
    kept = [high for high in highs if high.at > now - span_s and high.workers > workers]
    return (*kept, High(now, workers))
