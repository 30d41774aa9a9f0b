"""/jobs/{id}/events: a job's changes as server-sent events.

Each event carries the whole job, as GET /jobs/{id} shows it, and the record's version as its id. A
reader that comes back with Last-Event-ID gets what is newer. The store keeps only the record as it
stands, so changes that follow each other closely may arrive as one.
"""

from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from headpond.domain.job import Job
from headpond.domain.one_line import on_one_line
from headpond.gateway.endpoint import Answer, Call, Operation
from headpond.gateway.event_stream import (
    KEEP_ALIVE,
    KEEP_ALIVE_S,
    LAST_EVENT_ID,
    MEDIA_TYPE,
    STARTING_AFTER,
    EventStream,
    starting_after,
)
from headpond.gateway.jobs import job_id, with_result
from headpond.ports.events import Listener
from headpond.services.desk import Desk

_encode = msgspec.json.Encoder().encode


class JobEventRoutes:
    """One stream per job; it ends after the job has."""

    def __init__(self, desk: Desk, listener: Listener) -> None:
        self._desk = desk
        self._listener = listener

    def operations(self) -> list[Operation]:
        """The stream."""
        return [
            Operation(
                method="GET",
                path="/jobs/{id}/events",
                handler=self._stream,
                summary="Follow a job",
                parameters=(STARTING_AFTER, LAST_EVENT_ID),
                answer=Answer(
                    media=MEDIA_TYPE,
                    description="Events named `job`.",
                    empty="The job has ended and this reader has seen it; do not come back.",
                ),
                errors=(404,),
            )
        ]

    async def _stream(self, call: Call) -> ASGIApp:
        seen = starting_after(call) or 0
        job = await self._desk.job(job_id(call.id), call.identity)
        if job.state.terminal and job.version <= seen:
            # To an EventSource any other answer means: connect again, without end.
            return Response(status_code=204)
        if call.scope["method"] == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        return EventStream(self._events(job, seen), api="events", listener=self._listener)

    async def _events(self, job: Job, seen: int) -> AsyncIterator[bytes]:
        if job.version > seen:
            yield await self._event(job)
        while not job.state.terminal and not self._desk.closed:
            changed = await self._desk.change(job, KEEP_ALIVE_S)
            if changed is None:
                yield KEEP_ALIVE
                continue
            job = changed
            yield await self._event(job)

    async def _event(self, job: Job) -> bytes:
        data = _encode(await with_result(self._desk, job))
        return b"event: job\nid: %d\ndata: %b\n\n" % (job.version, on_one_line(data))
