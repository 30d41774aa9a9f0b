"""What is left of a job whose bodies were erased: 410, and the facts that remain."""

from typing import Literal

import msgspec

from headpond.domain.job import Job, JobState
from headpond.gateway.envelope import DO_NOT_RETRY, ErrorBody
from headpond.gateway.reply import Reply, json_reply


class Tombstone(msgspec.Struct, frozen=True):
    """Times are Unix seconds."""

    job_id: str
    status: JobState
    accepted_at: float
    finished_at: float | None
    erased_at: float | None


class TombstoneEnvelope(msgspec.Struct, frozen=True):
    """The envelope of errors, with what remains beside it."""

    error: ErrorBody
    job: Tombstone


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """The bodies are gone."""

    id: str
    object: Literal["job", "response"]
    deleted: bool = True


def gone(job: Job) -> Reply:
    """The answer for an erased job."""
    message = f"The request and result of job {job.id!r} were erased; it had {job.state}."
    body = ErrorBody(message=message, type="invalid_request_error", param="id", code="job_erased")
    left = Tombstone(job.id, job.state, job.accepted_at, job.finished_at, job.erased_at)
    return json_reply(TombstoneEnvelope(body, left), 410, [DO_NOT_RETRY])
