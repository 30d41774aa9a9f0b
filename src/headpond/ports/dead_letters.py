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


class DeadLetters(Protocol):
    """Read side; to change one is to swap its record, or to redrive it."""

    def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        """The records that match, by `finished_at`; those of one moment in any order.

        Records may leave or come while it reads; of those that stay none is missed.
        """
        ...
