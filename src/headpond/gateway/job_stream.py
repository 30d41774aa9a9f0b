"""/jobs/{id}/stream: a job's tokens while it runs, as server-sent events.

The events, their numbers and what a reader does with them stand in docs/streams.md.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal, TypeAlias, assert_never

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from headpond.domain.deltas import Choices, text_of
from headpond.domain.job import Job, JobState
from headpond.domain.one_line import on_one_line
from headpond.gateway.endpoint import Answer, Call, Operation
from headpond.gateway.event_stream import (
    KEEP_ALIVE,
    KEEP_ALIVE_S,
    LAST_EVENT_ID,
    MEDIA_TYPE,
    STARTING_AFTER,
    EventStream,
    first_number,
    last_with_tokens,
    no_such_event,
    starting_after,
)
from headpond.gateway.jobs import job_id, with_result
from headpond.gateway.tombstones import gone
from headpond.ports.events import Listener
from headpond.services.desk import Desk
from headpond.services.playback import Began, Delta, Done, Playback, Quiet, Restart

_encode = msgspec.json.Encoder().encode


EventName: TypeAlias = Literal["delta", "restart", "done"]


class DeltaEvent(msgspec.Struct, frozen=True):
    """`text` is what the first choice says more, `choices` the whole piece."""

    text: str
    choices: Choices


class RestartEvent(msgspec.Struct, frozen=True):
    """What came before is void. `run` is the version of the job's record while the run goes on.

    Null where a redriven job's stream begins: the run may not have.
    """

    run: int | None


class JobStreamRoutes:
    """One stream a job, the same for every reader."""

    def __init__(self, desk: Desk, playback: Playback, listener: Listener) -> None:
        self._desk = desk
        self._playback = playback
        self._listener = listener

    def operations(self) -> list[Operation]:
        """The stream."""
        return [
            Operation(
                method="GET",
                path="/jobs/{id}/stream",
                handler=self._stream,
                summary="Follow a job's tokens",
                parameters=(STARTING_AFTER, LAST_EVENT_ID),
                answer=Answer(
                    media=MEDIA_TYPE,
                    description="Events named `delta`, `restart` and, at the end, `done`.",
                    empty="The job has ended and this reader has it all; do not come back.",
                ),
                errors=(404, 410),
            )
        ]

    async def _stream(self, call: Call) -> ASGIApp:
        after = starting_after(call) or 0
        job = await self._desk.job(job_id(call.id), call.identity)
        if call.scope["method"] == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        if job.erased_at is not None:
            return gone(job)
        if after > (last := _last_number(job)):
            raise no_such_event(call, last)
        events = self._events(job, after)
        if job.state.terminal:
            first = await anext(events, None)
            if first is None:
                # To an EventSource any other answer means: connect again, without end.
                return Response(status_code=204)
            events = _led(first, events)
        return EventStream(events, api="jobs", listener=self._listener)

    async def _events(self, job: Job, after: int) -> AsyncGenerator[bytes]:
        number = first = first_number(job)
        if job.deaths:
            number += 1
            if number > after:
                yield _event("restart", number, _encode(RestartEvent(None)))
        async for played in self._playback.play(job, quiet_s=KEEP_ALIVE_S, resumed=after > first):
            match played:
                case Quiet():
                    yield KEEP_ALIVE
                case Began():
                    pass
                case Delta() | Restart() | Done():
                    if _beyond(played, number, after):
                        number = after
                    number += 1
                    if number > after:
                        yield await self._told(number, played)
                case _:  # pragma: no cover
                    assert_never(played)

    async def _told(self, number: int, played: Delta | Restart | Done) -> bytes:
        match played:
            case Delta(_, choices):
                return _event("delta", number, _encode(DeltaEvent(text_of(choices), choices)))
            case Restart(run):
                return _event("restart", number, _encode(RestartEvent(run)))
            case Done(job):
                shown = _encode(await with_result(self._desk, job))
                return _event("done", number, on_one_line(shown))
            case _:  # pragma: no cover
                assert_never(played)


def _last_number(job: Job) -> int:
    """The highest that an event can have by now."""
    last = last_with_tokens(job)
    if last is not None:
        return last
    told = [bool(job.deaths), job.state is JobState.SUCCEEDED, job.state.terminal]
    return first_number(job) + sum(told)


def _beyond(played: Delta | Restart | Done, number: int, after: int) -> bool:
    """Whether the reader has numbers of tokens that are gone, and what comes is new to it."""
    match played:
        case Restart(_, forgotten):
            return forgotten
        case Done():
            return number + 1 < after
        case Delta():
            return False


def _event(name: EventName, number: int, data: bytes) -> bytes:
    return b"event: %b\nid: %d\ndata: %b\n\n" % (name.encode(), number, data)


async def _led(first: bytes, events: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for event in events:
        yield event
