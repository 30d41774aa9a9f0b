"""The audit log: one entry for each job that ended, written with its end and never changed."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from headpond.domain.job import Job


class AuditEntry(msgspec.Struct, frozen=True):
    """A job as it ended, with both bodies as JSON bytes; no response if it did not succeed.

    The request is empty where the bodies were erased.
    """

    job: Job
    request: bytes
    response: bytes | None = None


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries. Times are Unix seconds at which jobs ended: from (incl.) to (excl.)."""

    team: str | None = None
    model: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int | None = None

    def covers(self, job: Job) -> bool:
        """Whether a job that ended is asked for."""
        finished_at = job.finished_at or 0.0
        return (
            (self.team is None or job.team == self.team)
            and (self.model is None or job.model == self.model)
            and (self.since is None or finished_at >= self.since)
            and (self.until is None or finished_at < self.until)
        )


class Audit(Protocol):
    """Read side; whatever ends a job writes the entry in the same step."""

    def read(self, query: AuditQuery) -> AsyncIterator[AuditEntry]:
        """The entries that match, by `finished_at`; those of one moment in any order."""
        ...

    def jobs(self, query: AuditQuery) -> AsyncIterator[Job]:
        """The jobs of those entries; no body is read for it."""
        ...
