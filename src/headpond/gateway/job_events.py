"""/jobs/{id}/events: a job's changes as server-sent events.

Each event carries the whole job, as GET /jobs/{id} shows it, and the record's version as its id. A
reader that comes back with Last-Event-ID gets what is newer. The store keeps only the record as it
stands, so changes that follow each other closely may arrive as one.
"""

import re
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from headpond.domain.job import Job
from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.event_stream import KEEP_ALIVE, KEEP_ALIVE_S, on_one_line
from headpond.gateway.jobs import job_id, with_result
from headpond.services.desk import Desk

LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    place="header",
    schema={"type": "string", "pattern": "^[0-9]{1,9}$"},
    description="Skip what this reader has seen.",
)

_VERSION = re.compile(rb"[0-9]{1,9}")
_encode = msgspec.json.Encoder().encode


class JobEventRoutes:
    """One stream per job; it ends after the job has."""

    def __init__(self, desk: Desk, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._desk = desk
        self._keep_alive_s = keep_alive_s

    def operations(self) -> list[Operation]:
        """The stream."""
        return [
            Operation(
                method="GET",
                path="/jobs/{id}/events",
                handler=self._stream,
                summary="Follow a job",
                parameters=(LAST_EVENT_ID,),
                answer=Answer(
                    media="text/event-stream",
                    description="Events named `job`.",
                    empty="The job has ended and this reader has seen it; do not come back.",
                ),
                errors=(404,),
            )
        ]

    async def _stream(self, call: Call) -> ASGIApp:
        seen = call.headers.get(b"last-event-id", b"0")
        if not _VERSION.fullmatch(seen):
            message = "Last-Event-ID must be the id of an event of this stream."
            raise InvalidRequest(message, code="invalid_value", param="Last-Event-ID")
        job = await self._desk.job(job_id(call.id), call.identity)
        # No buffering in nginx, which would hold events back.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if job.state.terminal and job.version <= int(seen):
            # To an EventSource any other answer means: connect again, without end.
            return Response(status_code=204, headers=headers)
        if call.scope["method"] == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        events = self._events(job, int(seen))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(self, job: Job, seen: int) -> AsyncIterator[bytes]:
        if job.version > seen:
            yield await self._event(job)
        while not job.state.terminal and not self._desk.closed:
            changed = await self._desk.change(job, self._keep_alive_s)
            if changed is None:
                yield KEEP_ALIVE
                continue
            job = changed
            yield await self._event(job)

    async def _event(self, job: Job) -> bytes:
        data = _encode(await with_result(self._desk, job))
        return b"event: job\nid: %d\ndata: %b\n\n" % (job.version, on_one_line(data))
