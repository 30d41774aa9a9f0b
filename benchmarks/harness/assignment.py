"""What one measurement of one queue is asked to do, passed between processes as JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Assignment:
    """One subject, one round.

    `subject` is `module:class` under benchmarks.subjects.  `directory` is an empty folder on the
    disk under test; `stamps` lies in memory where the system offers that.  `server_url` and
    `server_durability` are empty for subjects that need no server.
    """

    subject: str
    directory: str
    stamps: str
    server_url: str
    server_durability: str
    jobs: int
    pickups: int
    pickup_gap_s: float
    limit_s: float

    @property
    def stamp_count(self) -> int:
        """Single submissions, batch submissions and pick-ups each have numbers of their own."""
        return 2 * self.jobs + self.pickups

    def write(self, path: Path) -> None:
        """Save it for another process."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Load what `write` saved."""
        return cls(**json.loads(path.read_text()))
