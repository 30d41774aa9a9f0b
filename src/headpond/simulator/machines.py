"""Machines: what they cost, how long they take to start, and when the cloud takes them away.

Prices are those that the public SkyPilot catalogue and the article name; they change.
"""

import math
import random
from pathlib import Path

import msgspec

from headpond.errors import InvalidRequest

NORMAL_90 = 1.281552
NORMAL_99 = 2.326348
"""What nine of ten standard normal values, and ninety-nine of a hundred, do not exceed."""


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """From the request of a machine to its first pull, in seconds; log-normal around the median.

    `links` machines load their weights at full speed at one time; with more, each takes longer
    for that share of its start (`load_share`). A machine that is not ready after `grace_s` is
    taken for sick, and replaced.
    """

    median_s: float = 240.0
    sigma: float = 0.0
    links: int | None = None
    load_share: float = 0.5
    grace_s: float | None = None

    @property
    def percentile_90_s(self) -> float:
        """Nine of ten are ready by then, as long as there is no crowd."""
        return self.median_s * math.exp(NORMAL_90 * self.sigma)

    @property
    def shortest_s(self) -> float:
        """One of a hundred is ready by then."""
        return self.median_s * math.exp(-NORMAL_99 * self.sigma)

    def draw(self, dice: random.Random, starting: int) -> float:
        """Seconds for one more machine, beside `starting` others."""
        seconds = self.median_s * (dice.lognormvariate(0, self.sigma) if self.sigma else 1.0)
        if self.links is None:
            return seconds
        crowd = max(1.0, (starting + 1) / self.links)
        return seconds * (1 - self.load_share + self.load_share * crowd)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of machine with one engine; US dollars an hour."""

    name: str
    on_demand_usd: float
    spot_usd: float
    source: str


MACHINES = {
    "T4": Machine(
        name="g4dn.xlarge",
        on_demand_usd=0.526,
        spot_usd=0.16,
        source="AWS us-east-1 as the article quotes it",
    ),
    "L4": Machine(
        name="g6.xlarge",
        on_demand_usd=0.805,
        spot_usd=0.35,
        source="AWS us-east-1, public list price; spot varies by zone and day",
    ),
    "A100-40": Machine(
        name="p4d.24xlarge, an eighth",
        on_demand_usd=2.75,
        spot_usd=1.10,
        source="AWS us-east-1, 21.96 an hour for eight (devfloor9 engineering playbook, 2026-02); "
        "spot estimated",
    ),
    "A100": Machine(
        name="p4de.24xlarge, an eighth",
        on_demand_usd=3.43,
        spot_usd=1.40,
        source="AWS us-east-1, 27.45 an hour for eight; spot estimated",
    ),
    "H100": Machine(
        name="p5.48xlarge, an eighth",
        on_demand_usd=6.88,
        spot_usd=3.00,
        source="AWS us-east-1 since the cut of June 2025, 55.04 an hour for eight; spot estimated",
    ),
    "A10G": Machine(
        name="g5.xlarge",
        on_demand_usd=1.006,
        spot_usd=0.35,
        source="AWS us-east-1 as the article quotes it",
    ),
}


class SpotMarket(msgspec.Struct, frozen=True):
    """How many spot machines could be had, every `gap_s` seconds; begins anew at its end."""

    gap_s: float
    available: tuple[int, ...]

    def at(self, at_s: float) -> int:
        """Spot machines to be had at a moment."""
        return self.available[int(at_s / self.gap_s) % len(self.available)]


class _SpotFile(msgspec.Struct):
    class Metadata(msgspec.Struct):
        gap_seconds: float

    metadata: Metadata
    data: list[int]


ALL = 1_000_000


def read_spot(path: Path) -> SpotMarket:
    """A trace of SkyPilot's spot-traces; where one machine was tried, 1 says that any can be had.

    Raises InvalidRequest.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_SpotFile)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"{path} is no trace of spot machines: {error}."
        raise InvalidRequest(message, code="unreadable_trace", param="--spot-trace") from error
    single = max(file.data, default=0) <= 1
    counts = (count * ALL if single else count for count in file.data)
    return SpotMarket(file.metadata.gap_seconds, tuple(counts))
