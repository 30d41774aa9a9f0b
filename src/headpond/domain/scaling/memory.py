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

    `highs` are the wishes within the cooldown that no later one reached, so they fall. `found_at`
    is when a running fleet was found of which nothing was remembered: what was found counts as
    wished for at that time, so nothing goes before the cooldown.
    """

    target: int | None = None
    raised_at: float | None = None
    changed_at: float | None = None
    found_at: float | None = None
    highs: tuple[High, ...] = ()
    past: Past | None = None


def found(workers: int, now: float) -> Memory:
    """Of a fleet that runs, of which nothing else is remembered."""
    return Memory(target=workers, changed_at=now, found_at=now, highs=(High(now, workers),))


def with_high(highs: tuple[High, ...], workers: int, now: float, span_s: float) -> tuple[High, ...]:
    """The highs of the last `span_s` seconds, this one included."""
    kept = [high for high in highs if high.at > now - span_s and high.workers > workers]
    return (*kept, High(now, workers))
