"""Dead letters: the records of jobs that were buried, in the order of their deaths."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from headpond.domain.job import Job


class DeadQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which ones. Times are Unix seconds at which jobs died: from (incl.) to (excl.)."""

    team: str | None = None
    model: str | None = None
    code: str | None = None
    since: float | None = None
    until: float | None = None

    def covers(self, dead: Job) -> bool:
        """Whether this dead letter is asked for."""
        died_at = dead.finished_at or 0.0
        return (
            (self.team is None or dead.team == self.team)
            and (self.model is None or dead.model == self.model)
            and (self.code is None or (dead.error is not None and dead.error.code == self.code))
            and (self.since is None or died_at >= self.since)
            and (self.until is None or died_at < self.until)
        )


class DeadLetters(Protocol):
    """Read side; to change one is to swap its record, or to redrive it."""

    def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        """The records that match, by `finished_at`; those of one moment in any order.

        Records may leave or come while it reads; of those that stay none is missed.
        """
        ...
