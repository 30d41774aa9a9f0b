"""Responses as streams: numbers, and who reads from where."""

import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from functools import partial

import msgspec
from msgspec.structs import replace
from starlette.types import ASGIApp

from headpond.domain.job import Job
from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call
from headpond.gateway.event_stream import (
    KEEP_ALIVE,
    KEEP_ALIVE_S,
    EventStream,
    first_number,
    last_with_tokens,
)
from headpond.gateway.intake import receipt_headers
from headpond.gateway.response_event_schema import AnyEvent
from headpond.gateway.response_events import ResponseEvents
from headpond.gateway.response_mapping import response_view
from headpond.ports.events import Listener
from headpond.services.desk import Desk
from headpond.services.playback import Done, Playback, Quiet, Restart
from headpond.services.submission import Receipt

_encode = msgspec.json.Encoder().encode


class ResponseStreams:
    """Streams of responses; one that ends without saying how can be taken up again."""

    def __init__(self, desk: Desk, playback: Playback, listener: Listener) -> None:
        self._desk = desk
        self._playback = playback
        self._listener = listener

    def created(self, call: Call, receipt: Receipt, *, background: bool) -> ASGIApp:
        """The stream of a response that was made just now.

        A client that goes away has cancelled it, unless it is one of the background or has a key
        to come back with.
        """
        stays = background or b"idempotency-key" in call.headers
        return EventStream(
            self._events(receipt.job, -1),
            api="responses",
            listener=self._listener,
            headers=receipt_headers(receipt),
            on_left=None if stays else partial(self._cancel, call, receipt.job),
        )

    def resumed(self, job: Job, after: int) -> ASGIApp:
        """The stream of a response, from behind the event with that number; -1 for all of it."""
        return EventStream(self._events(job, after), api="responses", listener=self._listener)

    async def last_number(self, job: Job) -> int:
        """The highest that an event can have by now."""
        last = last_with_tokens(job)
        if last is not None:
            return last
        first = first_number(job)
        if job.state.terminal:
            return first - 1 + len([event async for event in self._events(job, -1)])
        return first + (1 if job.started_at is None else 2)

    async def _cancel(self, call: Call, job: Job) -> None:
        with contextlib.suppress(InvalidRequest):  # it has ended in the meantime
            await self._desk.cancel(job.id, call.identity)

    async def _events(self, job: Job, after: int) -> AsyncGenerator[bytes]:
        events = ResponseEvents(job, (await self._desk.bodies(job)).request)
        first = first_number(job)
        numbers = _Numbers(first, after)
        for event in numbers.sent(events.opening()):
            yield event
        async for played in self._playback.play(job, quiet_s=KEEP_ALIVE_S, resumed=after >= first):
            match played:
                case Quiet():
                    yield KEEP_ALIVE
                    continue
                case Done(ended):
                    response = response_view(ended, await self._desk.bodies(ended))
                    told = [*events.closing(response)]
                    numbers.catch_up(len(told))
                case _:
                    if isinstance(played, Restart) and played.forgotten:
                        numbers.skip()
                    told = events.events(played)
            for event in numbers.sent(told):
                yield event


class _Numbers:
    """Numbers events and leaves out those that the reader has."""

    def __init__(self, first: int, after: int) -> None:
        self._after = after
        self._next = first

    def skip(self) -> None:
        """What comes next, the reader does not have, whatever its number would be."""
        self._next = max(self._next, self._after + 1)

    def catch_up(self, left: int) -> None:
        """So many come yet; a reader that has more numbers than that has read what is gone."""
        if self._next + left <= self._after:
            self.skip()

    def sent(self, events: Iterable[AnyEvent]) -> Iterator[bytes]:
        """The events that go over the wire, as bytes."""
        for event in events:
            number, self._next = self._next, self._next + 1
            if number > self._after:
                name = type(event).__struct_config__.tag
                data = _encode(replace(event, sequence_number=number))
                yield f"event: {name}\n".encode() + b"data: %b\n\n" % data
