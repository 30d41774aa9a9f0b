"""What the front doors that hold the line have in common: how long, and what if it ends badly."""

from typing import assert_never

from headpond.domain.job import Job, JobState
from headpond.gateway.endpoint import Call, Parameter
from headpond.gateway.envelope import DO_NOT_RETRY, ErrorBody, ErrorEnvelope
from headpond.gateway.intake import poll_url
from headpond.gateway.jobs import SECONDS, seconds
from headpond.gateway.reply import Header, Reply, json_reply

WAIT_HEADER = Parameter(
    name="x-headpond-wait",
    place="header",
    schema=SECONDS,
    description="Wait at most this many seconds; the job goes on all the same.",
)


def wait_s(call: Call, max_wait_s: float) -> float:
    """How long the caller wants to wait, the gateway's bound at most. Raises InvalidRequest."""
    wanted = call.headers.get(b"x-headpond-wait")
    if wanted is None:
        return max_wait_s
    return min(max_wait_s, seconds(wanted.decode("latin-1"), "x-headpond-wait"))


def unanswered(job: Job, headers: list[Header]) -> Reply:
    """The answer for a job without a result: one that failed, or is not done in time.

    Never to be retried by the client on its own: that would make a second job.
    """
    status, body = fault(job)
    return json_reply(ErrorEnvelope(body), status, [*headers, DO_NOT_RETRY])


def fault(job: Job) -> tuple[int, ErrorBody]:
    """Why there is no answer for a job, with the HTTP status that tells it."""
    status, kind, code, message = _verdict(job)
    return status, ErrorBody(
        message=message, type=kind, code=code, job_id=str(job.id), poll_url=poll_url(job)
    )


def _verdict(job: Job) -> tuple[int, str, str, str]:
    code, message = (job.error.code, job.error.message) if job.error else ("unknown", "No reason.")
    match job.state:
        case JobState.ACCEPTED | JobState.QUEUED | JobState.RUNNING:
            message = f"Not done yet ({job.state}). The job goes on; look at {poll_url(job)}."
            return 504, "timeout_error", "not_done_in_time", message
        case JobState.FAILED:
            return 400, "invalid_request_error", code, message
        case JobState.CANCELLED:
            return 409, "invalid_request_error", code, message
        case JobState.EXPIRED:
            return 504, "timeout_error", code, message
        case JobState.DEAD | JobState.SUCCEEDED:
            return 502, "server_error", code, message
        case _:  # pragma: no cover
            assert_never(job.state)
