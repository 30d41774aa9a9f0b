"""Answers that are streams of server-sent events."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from starlette.types import Receive, Scope, Send

from headpond.domain.facts import StreamClosed, StreamOpened
from headpond.domain.job import Job
from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call, Parameter
from headpond.gateway.reply import Header
from headpond.ports.events import Listener

KEEP_ALIVE_S = 15.0
"""Proxies cut connections that say nothing for long, most of them after 30 or 60 seconds."""

KEEP_ALIVE = b": keep-alive\n\n"

MEDIA_TYPE = "text/event-stream"
HEADERS: tuple[Header, ...] = (
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    # No buffering in nginx, which would hold events back.
    (b"x-accel-buffering", b"no"),
)


NUMBER = {"type": "integer", "minimum": 0, "maximum": 999_999_999}

STARTING_AFTER = Parameter(
    name="starting_after",
    schema=NUMBER,
    description="Leave out the events up to this number: this reader has them.",
)
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    place="header",
    schema=NUMBER,
    description="The same, as browsers say it. The query goes first.",
)

NUMBERS_OF_A_LIFE = 1_000_000
"""More events than a job can have between two deaths: an entry every 40 ms for eleven hours."""

_NUMBER = re.compile(r"[0-9]{1,9}")


class EventStream:
    """An ASGI answer. The next event is made when the last one has been taken off our hands.

    `on_left` is called if the reader goes away after the beginning and before the end. One that
    goes before may be about to ask again: SDKs do so by themselves.
    """

    def __init__(
        self,
        events: AsyncIterator[bytes],
        *,
        api: str,
        listener: Listener,
        headers: Sequence[Header] = (),
        on_left: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._events = events
        self._api = api
        self._listener = listener
        self._headers = [*HEADERS, *headers]
        self._on_left = on_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        self._listener.hear(StreamOpened(self._api))
        leaving = asyncio.create_task(_left(receive))
        await asyncio.sleep(0)  # who has left already is noticed here
        there = not leaving.done()
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            elif there and self._on_left is not None:
                await self._on_left()
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.wait({sending, leaving})
            self._listener.hear(StreamClosed(self._api))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def first_number(job: Job) -> int:
    """Where the numbers of a job's events begin: anew, and higher, each time it was redriven.

    A number that a reader has from before the redrive is below all that follow, so the reader
    gets the new stream from its beginning, whatever is still kept of the old one.
    """
    return len(job.deaths) * NUMBERS_OF_A_LIFE


def starting_after(call: Call) -> int | None:
    """The number of the last event that the reader has, if it has any. Raises InvalidRequest."""
    header = call.headers.get(b"last-event-id")
    given = {
        "starting_after": call.query.get("starting_after"),
        "Last-Event-ID": None if header is None else header.decode("latin-1"),
    }
    for name, text in given.items():
        if text is not None:
            if not _NUMBER.fullmatch(text):
                message = f"{name} must be the number of an event of this stream."
                raise InvalidRequest(message, code="invalid_value", param=name)
            return int(text)
    return None


def last_with_tokens(job: Job) -> int | None:
    """A number that no event is above, of a job that may have told tokens; None if it told none.

    A reader may have more of them than are still kept, so how many they were is not known.
    """
    if job.stream and (job.started_at is not None or job.deaths):
        return first_number(job) + NUMBERS_OF_A_LIFE
    return None


def no_such_event(call: Call, last: int) -> InvalidRequest:
    """The number to start after is above the `last` one that an event can have by now."""
    name = "starting_after" if "starting_after" in call.query else "Last-Event-ID"
    message = f"{name} is the number of no event of this stream; none is above {last} by now."
    return InvalidRequest(message, code="invalid_value", param=name)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
