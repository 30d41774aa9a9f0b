"""The relay: passes on what the engine says while it says it, for jobs that ask for it.

The engine is never slowed down by the stream: it tells its pieces to a buffer, and a task beside it
appends what has gathered, the first piece at once and then in groups. A store that does not answer
is tried again, for as long as the job is the worker's own: when a run has ended well, all that it
said is in the stream before its result is stored.

What cannot be written for another reason ends the stream and not the run: an answer is worth more
than its tokens. What the stream holds by then is declared void, and the result is played instead.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec

from headpond.domain.deltas import Choices, grow, says_something
from headpond.domain.facts import FirstToken
from headpond.domain.job import Job
from headpond.domain.outcome import Outcome
from headpond.errors import TryLater
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim
from headpond.ports.engine import Engine
from headpond.ports.events import Listener
from headpond.ports.streams import Entry, TokenStreams
from headpond.services.complaints import failure

T = TypeVar("T")

APPEND_EVERY_S = 0.04
"""Time between two entries of a stream: faster than anybody reads, slower than engines speak."""

AGAIN_S = 0.5


class _Buffer:
    """What the engine has said and nobody has taken yet."""

    def __init__(self) -> None:
        self._choices: Choices = []
        self._some = asyncio.Event()
        self._ended = asyncio.Event()

    def add(self, choices: Choices) -> None:
        grow(self._choices, choices)
        if says_something(choices):
            self._some.set()

    def end(self) -> None:
        self._ended.set()
        self._some.set()

    async def take(self) -> Choices:
        """What has gathered, as soon as it says something; nothing only after the end."""
        await self._some.wait()
        choices, self._choices = self._choices, []
        if not self._ended.is_set():
            self._some.clear()
        return choices

    async def gather(self, seconds: float) -> None:
        """Let more come, unless there will be no more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()


class Relay:
    """Asks one engine."""

    def __init__(
        self, engine: Engine, streams: TokenStreams, *, clock: Clock, listener: Listener
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._clock = clock
        self._listener = listener

    async def ask(self, claim: Claim) -> Outcome:
        """What becomes of the request; its tokens have been told if the job wants that."""
        job = claim.job
        if not job.stream:
            return await self._engine.complete(job.model, claim.request)
        buffer = _Buffer()
        writing = asyncio.create_task(self._write(job, buffer), name=f"stream {job.id}")
        try:
            outcome = await self._engine.stream(job.model, claim.request, buffer.add)
            buffer.end()
            await writing
        finally:
            writing.cancel()
        return outcome

    async def _write(self, job: Job, buffer: _Buffer) -> None:
        try:
            await self._pass_on(job, buffer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer counts
            self._listener.hear(failure("stream", error))
            with contextlib.suppress(Exception):  # told above
                await _insist(partial(self._streams.begin, job.id, job.version))

    async def _pass_on(self, job: Job, buffer: _Buffer) -> None:
        """Append what comes until the end, or until the claim has fallen."""
        run = job.version
        last = await _insist(partial(self._streams.begin, job.id, run))
        if last is None:
            return
        seq = last
        while choices := await buffer.take():
            seq += 1
            entry = Entry(seq, run, msgspec.json.encode(choices))
            if not await _insist(partial(self._streams.append, job.id, entry)):
                return
            if seq == last + 1:
                waited_s = self._clock.now() - job.accepted_at
                self._listener.hear(FirstToken(job, waited_s))
            await buffer.gather(APPEND_EVERY_S)


async def _insist(write: Callable[[], Awaitable[T]]) -> T:
    """Try until the store takes it."""
    while True:
        try:
            return await write()
        except TryLater:
            await asyncio.sleep(AGAIN_S)
