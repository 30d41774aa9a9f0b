"""What webhooks tell: an event, and its body as Standard Webhooks recommends it.

The body is thin: what happened to which job or batch, without a word of prompts or answers. It also
has the fields of OpenAI's webhook events (`id`, `object`, `created_at`, `data.id`), so that their
client can unwrap it.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

import msgspec

from headpond.domain.batch import Batch, BatchStatus
from headpond.domain.job import Job, JobState

EventId = NewType("EventId", str)
"""The `webhook-id` header. Told again under the same id, so receivers know what they have seen."""


class EventType(StrEnum):
    """What an endpoint can ask to hear of."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    JOB_DEAD = "job.dead"
    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_INCOMPLETE = "response.incomplete"
    RESPONSE_FAILED = "response.failed"
    RESPONSE_CANCELLED = "response.cancelled"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_EXPIRED = "batch.expired"
    BATCH_CANCELLED = "batch.cancelled"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a team's work. `body` is JSON; `occurred_at` Unix seconds."""

    id: EventId
    type: EventType
    team: str
    occurred_at: float
    body: str


def event(
    event_id: EventId, kind: EventType, *, team: str, occurred_at: float, data: object
) -> Event:
    """An event about `data`, an object whose `id` names what it happened to."""
    moment = datetime.fromtimestamp(occurred_at, UTC).isoformat(timespec="milliseconds")
    body = {
        "id": event_id,
        "object": "event",
        "created_at": int(occurred_at),
        "type": kind,
        "timestamp": moment.replace("+00:00", "Z"),
        "data": data,
    }
    return Event(
        id=event_id,
        type=kind,
        team=team,
        occurred_at=occurred_at,
        body=msgspec.json.encode(body).decode(),
    )


def job_events(job: Job) -> list[Event]:
    """The end of a job that has ended; that of a response in the background in OpenAI's words too.

    The job's own event comes first.
    """
    told = [job_event(job)]
    if job.background:
        response = event(
            EventId(f"{told[0].id}_response"),
            _response_type(job),
            team=job.team,
            occurred_at=told[0].occurred_at,
            data={"id": "resp_" + job.id.removeprefix("job_")},
        )
        told.append(response)
    return told


def job_event(job: Job) -> Event:
    """The end of a job as such.

    The id is made of the job's and its version, so one end has one id however often it is asked
    for, and a job that was redriven and ended again has another.
    """
    return event(
        EventId(f"msg_{job.id.removeprefix('job_')}_{job.version}"),
        _TYPES[job.state],
        team=job.team,
        occurred_at=job.finished_at or job.accepted_at,
        data={
            "id": job.id,
            "status": job.state,
            "model": job.model,
            "feature": job.feature,
            "task_type": job.task_type,
            "metadata": job.metadata,
            "attempts": job.attempts,
            "accepted_at": job.accepted_at,
            "started_at": job.started_at,
            "finished_at": job.finished_at,
            "usage": job.usage,
            "error_code": None if job.error is None else job.error.code,
        },
    )


def batch_event(batch: Batch) -> Event:
    """The end of a batch that has ended. It ends once, so its event has one id."""
    return event(
        EventId(f"msg_{batch.id.removeprefix('batch_')}"),
        _BATCH_TYPES[batch.status],
        team=batch.team,
        occurred_at=batch.ended_at or batch.created_at,
        data={"id": batch.id},
    )


def _response_type(job: Job) -> EventType:
    match job.state:
        case JobState.SUCCEEDED if job.cut_short:
            return EventType.RESPONSE_INCOMPLETE
        case JobState.SUCCEEDED:
            return EventType.RESPONSE_COMPLETED
        case JobState.CANCELLED:
            return EventType.RESPONSE_CANCELLED
        case _:
            return EventType.RESPONSE_FAILED


_TYPES = {
    JobState.SUCCEEDED: EventType.JOB_SUCCEEDED,
    JobState.FAILED: EventType.JOB_FAILED,
    JobState.CANCELLED: EventType.JOB_CANCELLED,
    JobState.EXPIRED: EventType.JOB_EXPIRED,
    JobState.DEAD: EventType.JOB_DEAD,
}

_BATCH_TYPES = {
    BatchStatus.COMPLETED: EventType.BATCH_COMPLETED,
    BatchStatus.FAILED: EventType.BATCH_FAILED,
    BatchStatus.EXPIRED: EventType.BATCH_EXPIRED,
    BatchStatus.CANCELLED: EventType.BATCH_CANCELLED,
}
