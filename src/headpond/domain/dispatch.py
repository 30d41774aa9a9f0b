"""One event on its way to one endpoint.

    pending ──leased──▶ pending ──delivered──▶ delivered
       ▲                   │ ─────given_up───▶ failed ──redelivered──▶ pending
       └──────retried──────┘

A lease moves `due_at` on and raises `version`, which fences: who lost the lease notes nothing. If
the process dies between the POST and the note, the lease lapses and the event is told again, under
the same `webhook-id`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, assert_never

import msgspec
from msgspec.structs import replace

from headpond.domain.destination import Destination, destination_of
from headpond.domain.webhook_endpoint import Endpoint, EndpointId, callbacks_of
from headpond.domain.webhook_event import Event

JITTER = 0.2
"""A delay is lengthened by up to this share, so that what failed together returns apart."""

MAX_RETRY_AFTER_S = 86_400.0
GONE = 410


class DispatchState(StrEnum):
    """Where it stands; the last two are ends."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Replied(msgspec.Struct, frozen=True):
    """The receiver answered. `retry_after_s` is what it asked for, None if nothing."""

    status: int
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299  # noqa: PLR2004 - the class of success

    @property
    def gone(self) -> bool:
        """The receiver wants no more of it, ever."""
        return self.status == GONE


class Unreached(msgspec.Struct, frozen=True):
    """There was no answer: not allowed, not resolved, refused, reset, too slow."""

    reason: str
    retry_after_s: ClassVar[None] = None
    ok: ClassVar[bool] = False
    gone: ClassVar[bool] = False


Reaction = Replied | Unreached


class Dispatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times are Unix seconds. `due_at` is None once it has ended, `ended_at` until then.

    `url` is a job's own callback, None where the endpoint's counts. `attempts` are charged when
    they begin. `status` and `error` are those of the last one that was noted.
    """

    event: Event
    endpoint: EndpointId
    url: str | None = None
    version: int = 1
    state: DispatchState = DispatchState.PENDING
    attempts: int = 0
    due_at: float | None
    attempted_at: float | None = None
    ended_at: float | None = None
    status: int | None = None
    error: str | None = None

    @property
    def destination(self) -> Destination:
        """What it shares a window and a pause with."""
        return destination_of(self.endpoint, self.url)

    def leased(self, now: float, lease_s: float) -> "Dispatch":
        """In a sender's hands; due again when the lease lapses."""
        return self._next(attempts=self.attempts + 1, attempted_at=now, due_at=now + lease_s)

    def delivered(self, now: float, status: int) -> "Dispatch":
        """The receiver has it."""
        return self._ended(DispatchState.DELIVERED, now, status, None)

    def retried(self, due_at: float, status: int | None, error: str) -> "Dispatch":
        """Not now; again at `due_at`."""
        return self._next(due_at=due_at, status=status, error=error)

    def given_up(self, now: float, status: int | None, error: str) -> "Dispatch":
        """Not any more, unless somebody asks for it."""
        return self._ended(DispatchState.FAILED, now, status, error)

    def redelivered(self, now: float) -> "Dispatch":
        """Once more from the beginning."""
        return self._next(state=DispatchState.PENDING, attempts=0, due_at=now, ended_at=None)

    def _ended(
        self, state: DispatchState, now: float, status: int | None, error: str | None
    ) -> "Dispatch":
        return self._next(state=state, due_at=None, ended_at=now, status=status, error=error)

    def _next(self, **changes: object) -> "Dispatch":
        return replace(self, version=self.version + 1, **changes)


def dispatches(
    event: Event, endpoints: Sequence[Endpoint], callback: str | None = None
) -> list[Dispatch]:
    """Who is told: the team's endpoints that want to hear of it, and the job's own callback."""
    told = [
        Dispatch(event=event, endpoint=endpoint.id, due_at=event.occurred_at)
        for endpoint in endpoints
        if endpoint.wants(event.type)
    ]
    if callback is not None:
        to = callbacks_of(event.team)
        told.append(Dispatch(event=event, endpoint=to, url=callback, due_at=event.occurred_at))
    return told


def react(
    dispatch: Dispatch,
    reaction: Reaction,
    *,
    now: float,
    schedule_s: Sequence[float],
    chance: float,
) -> Dispatch:
    """What becomes of a leased dispatch. `schedule_s` are the delays after each failed attempt.

    The receiver's own wish counts if it is later than the schedule, up to a day. `chance` in
    [0, 1) is the jitter.
    """
    match reaction:
        case Replied(status) if reaction.ok:
            return dispatch.delivered(now, status)
        case Replied(status):
            error = f"It answered {status}."
        case Unreached(error):
            status = None
        case _:  # pragma: no cover
            assert_never(reaction)
    if reaction.gone or dispatch.attempts > len(schedule_s):
        return dispatch.given_up(now, status, error)
    delay_s = schedule_s[dispatch.attempts - 1] * (1 + JITTER * chance)
    wished_s = min(reaction.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
    return dispatch.retried(now + max(delay_s, wished_s), status, error)
