"""What happens, told to whoever listens: logs, metrics, pages.

Times spans are in seconds.
"""

from typing import Literal

import msgspec

from headpond.domain.batch import Batch
from headpond.domain.dispatch import Dispatch
from headpond.domain.job import Job, JobId
from headpond.domain.scaling.state import ScalingStep
from headpond.domain.webhook_endpoint import Endpoint


class JobSubmitted(msgspec.Struct, frozen=True):
    """A job was accepted; `replayed` when an idempotency key led to one that stood already."""

    job: Job
    replayed: bool = False


class RequestRefused(msgspec.Struct, frozen=True):
    """The gateway turned a request away."""

    code: str
    status: int


class JobClaimed(msgspec.Struct, frozen=True):
    """A worker begins to run a job that waited `waited_s` since it was accepted."""

    job: Job
    waited_s: float


class JobSettled(msgspec.Struct, frozen=True):
    """A worker wrote what became of a job: an end, or a return to its lane."""

    job: Job
    service_s: float


class ClaimLost(msgspec.Struct, frozen=True):
    """A worker found that a job is no longer its own; its work was thrown away."""

    job_id: JobId


class FirstToken(msgspec.Struct, frozen=True):
    """A streamed job's run said its first token, `waited_s` after the job was accepted."""

    job: Job
    waited_s: float


class StreamOpened(msgspec.Struct, frozen=True):
    """Somebody follows a job's tokens; `api` is the front door."""

    api: str


class StreamClosed(msgspec.Struct, frozen=True):
    """The same does so no more."""

    api: str


class EngineAnswered(msgspec.Struct, frozen=True):
    """An engine was asked; `outcome` is the name of the outcome's type."""

    engine: str
    outcome: str
    duration_s: float


class CacheAsked(msgspec.Struct, frozen=True):
    """A job's answer was looked for in memory: a `hit`, or a `miss`, so that the engine is asked.

    `coalesced` is one that was given to an equal request while this one waited.
    """

    job: Job
    result: Literal["hit", "miss", "coalesced"]


class EngineStarting(msgspec.Struct, frozen=True):
    """An engine cannot take requests yet; it has time to become able to."""

    engine: str


class EngineHealth(msgspec.Struct, frozen=True):
    """An engine became able, or unable, to take requests."""

    engine: str
    healthy: bool


class EngineFailed(msgspec.Struct, frozen=True):
    """An engine died, or gave garbage to all, with `in_flight` requests, of which none is charged.

    `suspects` wait to be run again, alone or in groups, until it is known which one did it.
    """

    engine: str
    in_flight: int
    suspects: int
    reason: str


class EngineBroken(msgspec.Struct, frozen=True):
    """An engine failed `failures` times in a row and answered nobody: it fails with everybody.

    Until it answers it gets one request at a time, and its jobs wait in their lanes.
    """

    engine: str
    failures: int
    reason: str


class JobConvicted(msgspec.Struct, frozen=True):
    """A job took its engine down each time it ran, and is buried for it; `job.error` says why."""

    job: Job


class EngineLoad(msgspec.Struct, frozen=True):
    """An engine's gauges as read, and the room that the worker sees. None is unknown.

    `suspects` are jobs in the worker's hands that wait to be run in isolation.
    """

    engine: str
    running: int | None
    waiting: int | None
    kv_usage: float | None
    in_flight: int
    room: int
    suspects: int = 0


class Reaped(msgspec.Struct, frozen=True):
    """The reaper ended an overdue job (`expired`) or sent its message again (`reissued`)."""

    job: Job
    action: str


class WebhookSent(msgspec.Struct, frozen=True):
    """An attempt to tell an endpoint; `dispatch` is what became of it."""

    dispatch: Dispatch
    duration_s: float


class EndpointDisabled(msgspec.Struct, frozen=True):
    """An endpoint gets nothing more until somebody enables it."""

    endpoint: Endpoint


class BatchAdvanced(msgspec.Struct, frozen=True):
    """A batch entered a status that is not its last; `validating` is its beginning."""

    batch: Batch


class BatchEnded(msgspec.Struct, frozen=True):
    """A batch reached its last status, and its files are to be had.

    Told by the process that wrote the record, so not where that process died in between: what must
    not be missed is read from the record.
    """

    batch: Batch


class PoolScaled(msgspec.Struct, frozen=True):
    """The autoscaler decided; most often nothing `changed`."""

    step: ScalingStep
    changed: bool


class DutyFailed(msgspec.Struct, frozen=True):
    """A background duty met an error in one of its ticks, and goes on.

    `passes` says that the same may work later by itself, `news` that it was not told of late.
    """

    duty: str
    error: str
    passes: bool = False
    news: bool = True


class DutyWellAgain(msgspec.Struct, frozen=True):
    """After failing for so many seconds."""

    duty: str
    failed_s: float


Fact = (
    JobSubmitted
    | RequestRefused
    | JobClaimed
    | JobSettled
    | ClaimLost
    | FirstToken
    | StreamOpened
    | StreamClosed
    | EngineAnswered
    | CacheAsked
    | EngineStarting
    | EngineHealth
    | EngineFailed
    | EngineBroken
    | JobConvicted
    | EngineLoad
    | Reaped
    | WebhookSent
    | EndpointDisabled
    | BatchAdvanced
    | BatchEnded
    | PoolScaled
    | DutyFailed
    | DutyWellAgain
)
