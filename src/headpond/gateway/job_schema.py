"""Wire types of Headpond's own job API."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from headpond.domain.job import Job, JobError, JobState, Usage
from headpond.domain.lane import Priority
from headpond.domain.public_address import MAX_URL_CHARS
from headpond.domain.quote import Eta
from headpond.gateway.chat_schema import ChatParameters, Messages, Name, completion


class Callback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to send the event of the job's end, signed with the team's secret for callbacks."""

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_CHARS)]


class JobRequest(ChatParameters, frozen=True, kw_only=True):
    """Body of POST /jobs: `prompt` or `messages`, not both."""

    prompt: Annotated[str, Meta(min_length=1)] | None = None
    messages: Messages | None = None
    model: Name | None = None
    task_type: Name | None = None
    priority: Priority = Priority.BATCH
    callback: Callback | None = None


class OpenJobRequest(JobRequest, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The same where parameters that Headpond does not know are passed on."""


class QuoteView(msgspec.Struct, frozen=True):
    """What was to be expected of the job when it was handed in.

    `position` is how many jobs will be begun before it. `eta` (Unix seconds) is null as long as
    the pool has not worked yet, `price_usd` where the pool has no prices.
    """

    position: int
    eta: Eta | None
    price_usd: float | None


class JobAccepted(msgspec.Struct, frozen=True):
    """The job is stored and queued; `poll_url` shows what becomes of it."""

    job_id: str
    status: JobState
    poll_url: str
    quote: QuoteView | None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its owner sees it. Times are Unix seconds.

    `model_version` is that of the pool whose engine ended the job, null where it has none.
    `cached` is true of an answer that was known already and kept no engine busy. `last_error` is
    why a job that has not succeeded last went back to its lane. `result` is the engine's chat
    completion and `text` its first choice; lists leave both out.
    """

    job_id: str
    object: Literal["job"] = "job"
    status: JobState
    version: int
    model: str
    pool: str
    priority: Priority
    feature: str | None
    task_type: str | None
    metadata: dict[str, str]
    attempts: int
    max_attempts: int
    deadline: float | None
    quote: QuoteView | None
    callback: Callback | None
    accepted_at: float
    queued_at: float | None
    started_at: float | None
    finished_at: float | None
    model_version: str | None
    usage: Usage | None
    confidence: float | None
    cached: bool
    error: JobError | None
    last_error: JobError | None
    result: Raw | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. With `has_more`, the next page is `?after=` the last one's id."""

    object: Literal["list"] = "list"
    data: list[JobView]
    has_more: bool


def view(job: Job) -> JobView:
    """The job without its bodies."""
    return JobView(
        job_id=job.id,
        status=job.state,
        version=job.version,
        model=job.model,
        pool=job.pool,
        priority=job.priority,
        feature=job.feature,
        task_type=job.task_type,
        metadata=job.metadata,
        attempts=job.attempts,
        max_attempts=job.max_attempts,
        deadline=job.deadline,
        quote=quote_view(job),
        callback=None if job.callback is None else Callback(job.callback),
        accepted_at=job.accepted_at,
        queued_at=job.queued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        model_version=job.model_version,
        usage=job.usage,
        confidence=job.confidence,
        cached=job.cached,
        error=job.error,
        last_error=job.last_error,
    )


def quote_view(job: Job) -> QuoteView | None:
    """The job's quote, None if it got none."""
    if job.quote is None:
        return None
    return QuoteView(job.quote.position, job.quote.eta, job.quote.price_usd)


def full_view(job: Job, response: bytes | None) -> JobView:
    """The job with its result, None where it has none."""
    return msgspec.structs.replace(
        view(job),
        result=None if response is None else Raw(response),
        text=completion(response).text,
    )
