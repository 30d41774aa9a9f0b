"""The job store: the truth about every job."""

from typing import Protocol

import msgspec

from headpond.domain.job import Job, JobId, JobState

HELD_ON_S = 3600.0
"""How much longer a key holds that expired while its job waited: then it is looked at again."""


class Idempotency(msgspec.Struct, frozen=True):
    """A client's promise that requests under one key are one request.

    `fingerprint` tells whether the body is the same too. Keys of two teams never meet. A key holds
    until `expires_at`, and in any case until its job has ended.
    """

    key: str
    fingerprint: str
    expires_at: float


class Try(msgspec.Struct, frozen=True):
    """A request of an SDK that sends no key, but counts how often it has sent the same before.

    `fingerprint` tells the client and all that it sends; two requests may have the same one.
    `number` is 0 for the first try. The job of a try is remembered for the next one until
    `expires_at`.
    """

    fingerprint: str
    number: int
    expires_at: float


class NewJob(msgspec.Struct, frozen=True):
    """A record to add, with the request body (JSON) that the engine will get.

    It comes under a key, or as a try, or as neither.
    """

    job: Job
    request: bytes
    idempotency: Idempotency | Try | None = None


class Added(msgspec.Struct, frozen=True):
    """The record is stored."""

    job: Job


class Existing(msgspec.Struct, frozen=True):
    """The id, or the request's key or try, made `job` before; then its fingerprint was this one."""

    job: Job
    fingerprint: str


class Bodies(msgspec.Struct, frozen=True):
    """What went to the engine and, once the job succeeded, what came back; JSON bytes."""

    request: bytes
    response: bytes | None = None


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs, newest first. `after` is the id that the last page ended with."""

    team: str | None = None
    state: JobState | None = None
    after: JobId | None = None
    limit: int = 20


class JobStore(Protocol):
    """Records under compare-and-set. Every verb takes effect durably before it returns."""

    async def add(self, new: NewJob) -> Added | Existing:
        """Add a record iff there is none of its id, under its team's key, or of an earlier try.

        A try takes over the job of an earlier one as `retried` says.
        """
        ...

    async def known(self, team: str, key: str) -> Existing | None:
        """What a team's idempotency key stands for, None if it holds no more."""
        ...

    async def retried(self, again: Try) -> Existing | None:
        """Take over the job of an earlier try of the same fingerprint, None if there is none.

        It is this try's from now on, so that of two equal requests each finds a job of its own:
        the job that was tried most often, and of these the newest.
        """
        ...

    async def get(self, job_id: JobId) -> Job | None:
        """The record as it stands, None if there is none. Raises Unreadable.

        Lists leave out what cannot be read.
        """
        ...

    async def bodies(self, job_id: JobId) -> Bodies | None:
        """The request and response of a job, None if there is no such job or they are erased."""
        ...

    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        """Replace the record iff the stored version is `after.version - 1`; False if not."""
        ...

    async def erase(self, after: Job) -> bool:
        """Replace the record as `swap` does, and remove both bodies in the same step."""
        ...

    async def find(self, query: JobQuery) -> list[Job]:
        """The records that match, newest first."""
        ...

    async def due(self, *, now: float, accepted_before: float, limit: int) -> list[Job]:
        """Records that need a look: past their deadline, or accepted before then and not queued.

        Only records that have not ended; at most `limit`: the overdue ones by their deadline, then
        the others by `accepted_at`, and those of one moment in the order in which they were added.
        """
        ...

    async def wait_for_change(self, job_id: JobId, version: int, timeout_s: float) -> Job | None:
        """The record once its version is above `version`; None after `timeout_s` seconds."""
        ...

    async def forget_keys(self, now: float, *, limit: int) -> int:
        """Forget up to `limit` expired keys and as many expired tries, the oldest first.

        Returns how many. A key whose job has not ended holds for another `HELD_ON_S` instead. A
        store whose service removes tries by itself may leave them to it for some days.
        """
        ...


class OpenJobs(Protocol):
    """What is asked of a job store whose queue may lose what it acknowledged."""

    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        """Records in the states queued and running that were added after that one, in order.

        There are no more once there are none; a page may be short all the same.
        """
        ...
