"""Playback: a job's stream from its first token to its end, for one reader.

What is played depends on the entries of the stream and the record alone, never on when the reader
came or how often. So whoever numbers what is played gives the same numbers to the same things each
time, and a reader that comes back is served by playing again and leaving out what it has.

A result that did not come through the stream, because the tokens are forgotten by now or the worker
knew no streams, is played as one delta.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeAlias

import msgspec

from headpond.domain.deltas import Choices, as_piece
from headpond.domain.job import Job, JobState
from headpond.ports.streams import Entry, TokenStreams
from headpond.services.desk import Desk

PAGE = 64
"""Entries read at once: what a slow reader can make the gateway hold."""


class Began(msgspec.Struct, frozen=True):
    """A worker has begun to run the job. Comes once, before all else."""


class Delta(msgspec.Struct, frozen=True):
    """More of the answer, a piece as in `domain/deltas.py`; `run` is the run that says it."""

    run: int
    choices: Choices


class Restart(msgspec.Struct, frozen=True):
    """All deltas before are void: `run` begins anew.

    `forgotten` when it is only that the tokens, which this reader has begun to read, are gone.
    """

    run: int
    forgotten: bool = False


class Quiet(msgspec.Struct, frozen=True):
    """Nothing happened for a while."""


class Done(msgspec.Struct, frozen=True):
    """The job has ended. Comes once, after all else."""

    job: Job


Played: TypeAlias = Began | Delta | Restart | Quiet | Done

_decode = msgspec.json.Decoder(Choices).decode


class _Completion(msgspec.Struct):
    choices: Choices


_decode_completion = msgspec.json.Decoder(_Completion).decode


class Playback:
    """Plays streams to readers."""

    def __init__(self, streams: TokenStreams, desk: Desk) -> None:
        self._streams = streams
        self._desk = desk

    async def play(
        self, job: Job, *, quiet_s: float, resumed: bool = False, from_restart: bool = False
    ) -> AsyncGenerator[Played]:
        """The stream of a job that was read at the desk; `resumed` for a reader that comes back.

        Plays `Quiet` when there was nothing else for `quiet_s` seconds. With `from_restart`, what
        is void by now is left out. Ends after `Done`; without it only when the desk closes, or when
        the job has died and been redriven: then another stream begins. Raises Unavailable.
        """
        loop = asyncio.get_running_loop()
        began, last = False, Entry(0, 0)
        if from_restart:
            last = await self._last_restart(job) or last
        quiet_at = loop.time() + quiet_s
        while True:
            entries = await self._streams.read(job.id, after=last.seq, limit=PAGE)
            if not began and (entries or job.started_at is not None):
                began = True
                yield Began()
            for last in entries:
                yield _played(last)
            if entries:
                quiet_at = loop.time() + quiet_s
                continue
            if job.state.terminal:
                break
            changed = await self._news(job, last.seq, quiet_at - loop.time())
            if self._desk.closed or (changed is not None and changed.deaths != job.deaths):
                return
            if changed is None:
                yield Quiet()
                quiet_at = loop.time() + quiet_s
            job = changed or job
        for played in await self._end(job, last, resumed=resumed):
            yield played

    async def _last_restart(self, job: Job) -> Entry | None:
        seen, restart = 0, None
        while entries := await self._streams.read(job.id, after=seen, limit=PAGE):
            seen = entries[-1].seq
            restart = next((e for e in reversed(entries) if e.choices is None), restart)
        return restart

    async def _news(self, job: Job, seen: int, timeout_s: float) -> Job | None:
        """The job as it stands once it or its stream has changed; None if neither does so."""
        reading = asyncio.ensure_future(
            self._streams.read(job.id, after=seen, limit=1, wait_s=timeout_s)
        )
        changing = asyncio.ensure_future(self._desk.change(job, timeout_s))
        try:
            await asyncio.wait({reading, changing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and reading.result():
                return job
            return await changing
        finally:
            reading.cancel()
            changing.cancel()

    async def _end(self, job: Job, last: Entry, *, resumed: bool) -> list[Played]:
        """What comes after the last entry."""
        # The version of a record that succeeded is one above that of the claim.
        run = job.version - 1
        if job.state is not JobState.SUCCEEDED or (last.choices is not None and last.run == run):
            return [Done(job)]
        response = (await self._desk.bodies(job)).response
        whole = as_piece(_decode_completion(response or b'{"choices":[]}').choices)
        forgotten = resumed and job.stream and last.seq == 0
        void = [Restart(run, forgotten)] if forgotten or last.choices is not None else []
        return [*void, Delta(run, whole), Done(job)]


def _played(entry: Entry) -> Delta | Restart:
    if entry.choices is None:
        return Restart(entry.run)
    return Delta(entry.run, _decode(entry.choices))
