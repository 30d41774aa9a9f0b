"""Pools and lanes: where work waits."""

from enum import StrEnum

import msgspec
from typing_extensions import override


class Priority(StrEnum):
    """Interactive work goes first; batch work takes the room that is left."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Lane(msgspec.Struct, frozen=True, order=True):
    """One queue: a pool (a fleet of like workers before one base model) at one priority."""

    pool: str
    priority: Priority

    @override
    def __str__(self) -> str:
        return f"{self.pool}/{self.priority}"


def lanes_of(pool: str) -> tuple[Lane, ...]:
    """Every lane of a pool, in the order in which a worker looks into them."""
    return tuple(Lane(pool, priority) for priority in Priority)
