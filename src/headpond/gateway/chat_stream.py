"""A chat completion as a stream of chunks.

The interface has no way to take back what was sent. So after a restart, a failure or the end of the
gateway the stream ends with an error, which the official clients raise; its job may go on all the
same, and the error says where.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import TypeGuard, assert_never

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from starlette.types import ASGIApp

from headpond.domain.deltas import Choices
from headpond.domain.job import Job, JobState, Usage
from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call
from headpond.gateway.envelope import ErrorBody, ErrorEnvelope
from headpond.gateway.event_stream import KEEP_ALIVE, KEEP_ALIVE_S, EventStream
from headpond.gateway.intake import poll_url, receipt_headers
from headpond.gateway.waiting import fault, unanswered
from headpond.ports.events import Listener
from headpond.services.desk import Desk
from headpond.services.playback import Began, Delta, Done, Playback, Played, Quiet, Restart
from headpond.services.submission import Receipt

END = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class ChunkUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """`usage` is null but for the last chunk, where it was asked for, and else not there."""

    id: str
    object: str = "chat.completion.chunk"
    created: int
    model: str
    choices: Choices = []
    usage: ChunkUsage | UnsetType | None = UNSET


class ChatStreams:
    """Streams of chats that have been submitted."""

    def __init__(self, desk: Desk, playback: Playback, listener: Listener) -> None:
        self._desk = desk
        self._playback = playback
        self._listener = listener

    async def answer(
        self, call: Call, receipt: Receipt, *, patience_s: float, include_usage: bool
    ) -> ASGIApp:
        """The stream, or an error in an answer of its own where there is nothing to stream.

        `patience_s` is how long the client waits for its first token. One that goes away has
        cancelled the job, unless it has a key to come back with.
        """
        job, headers = receipt.job, receipt_headers(receipt)
        until = asyncio.get_running_loop().time() + patience_s
        playing = self._playback.play(job, quiet_s=min(KEEP_ALIVE_S, patience_s), from_restart=True)
        first = await _first(playing)
        if not _worth_streaming(first, until):
            return unanswered(await self._desk.job(job.id, call.identity), headers)
        chunks = _Chunks(job, include_usage=include_usage)
        comes_back = b"idempotency-key" in call.headers
        return EventStream(
            self._events(call, chunks, _led(first, playing), until),
            api="chat",
            listener=self._listener,
            headers=headers,
            on_left=None if comes_back else partial(self._cancel, call, job),
        )

    async def _cancel(self, call: Call, job: Job) -> None:
        with contextlib.suppress(InvalidRequest):  # it has ended in the meantime
            await self._desk.cancel(job.id, call.identity)

    async def _events(
        self, call: Call, chunks: "_Chunks", playing: AsyncIterator[Played], until: float
    ) -> AsyncGenerator[bytes]:
        async for played in playing:
            match played:
                case Delta():
                    until = math.inf
                    yield chunks.delta(played.choices)
                case Quiet() if asyncio.get_running_loop().time() < until:
                    yield KEEP_ALIVE
                case Restart():
                    yield chunks.restarted()
                    return
                case Done(Job(state=JobState.SUCCEEDED) as job):
                    yield chunks.end(job)
                    return
                case Quiet() | Done():
                    break
                case Began():
                    pass
                case _:  # pragma: no cover
                    assert_never(played)
        yield _error(fault(await self._desk.job(chunks.job.id, call.identity))[1])


class _Chunks:
    """The chunks of one stream, as bytes."""

    def __init__(self, job: Job, *, include_usage: bool) -> None:
        self.job = job
        self._include_usage = include_usage
        self._chunk = Chunk(
            id="chatcmpl-" + job.id.removeprefix("job_"),
            created=int(job.accepted_at),
            model=job.model,
            usage=None if include_usage else UNSET,
        )

    def delta(self, choices: Choices) -> bytes:
        """A piece of the answer."""
        return _event(replace(self._chunk, choices=choices))

    def end(self, job: Job) -> bytes:
        """What comes after the last piece."""
        if not self._include_usage:
            return END
        counted = job.usage or Usage()
        usage = ChunkUsage(
            prompt_tokens=counted.prompt_tokens,
            completion_tokens=counted.completion_tokens,
            total_tokens=counted.prompt_tokens + counted.completion_tokens,
        )
        return _event(replace(self._chunk, usage=usage)) + END

    def restarted(self) -> bytes:
        """An error: nothing that was sent can be taken back."""
        message = (
            "The answer was cut off, and the job has begun anew: what was sent is void. "
            f"Look at {poll_url(self.job)}."
        )
        return _error(
            ErrorBody(
                message=message,
                type="server_error",
                code="stream_restarted",
                job_id=str(self.job.id),
                poll_url=poll_url(self.job),
            )
        )


async def _first(playing: AsyncIterator[Played]) -> Played | None:
    """What tells whether there is something to stream; None if the gateway ends."""
    async for played in playing:
        if not isinstance(played, Began):
            return played
    return None


def _worth_streaming(first: Played | None, until: float) -> TypeGuard[Played]:
    match first:
        case None:
            return False
        case Done(job):
            return job.state is JobState.SUCCEEDED
        case Quiet():
            return asyncio.get_running_loop().time() < until
        case _:
            return True


async def _led(first: Played, playing: AsyncIterator[Played]) -> AsyncGenerator[Played]:
    yield first
    async for played in playing:
        yield played


def _error(body: ErrorBody) -> bytes:
    return _event(ErrorEnvelope(body))


def _event(value: object) -> bytes:
    return b"data: %b\n\n" % _encode(value)
