"""Token streams on Redis, fenced by the records of a job store that lies elsewhere.

A run writes only while the record has its version, and while nobody has brought a higher one: see
`scripts/stream.lua`. Each append asks the job store for the record's version, and so does a read.
"""

import asyncio
from typing import Any

from typing_extensions import override

from headpond.adapters.redis.news import Signal
from headpond.adapters.redis.script import script
from headpond.adapters.redis.server import Argument, Call, Command, Server
from headpond.domain.job import JobId
from headpond.ports.jobs import JobStore
from headpond.ports.streams import Entry, TokenStreams

LOOK_AGAIN_S = 2.0
"""A safety net: how long an entry can stay unseen if a wake-up is lost."""

INDEX = "headpond:streams"
"""A zset of job ids, each by a time before which its job has not ended."""

FORGET_AT_ONCE = 256


class TokensLostError(Exception):
    """The server has lost what a run had said. Whatever the run says, it is not to be streamed."""


class RedisTokenStreams(TokenStreams):
    """Processes on any number of machines share them.

    A run whose tokens were lost under it gets a restart in their place, and `append` raises
    `TokensLostError`: readers then get the whole result once there is one.
    """

    def __init__(self, server: Server, jobs: JobStore) -> None:
        self._server = server
        self._jobs = jobs

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        job = await self._jobs.get(job_id)
        if job is None or job.version != run:
            return None
        # First, so that no stream is ever out of its sight.
        await self._server.run(Command(("ZADD", INDEX, "NX", job.accepted_at, job_id)))
        last = await self._run("begin", job_id, run)
        return None if last < 0 else last

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        if await self._version(job_id) != entry.run:
            return False
        stored = await self._run("append", job_id, entry.seq, entry.run, entry.choices or b"")
        if stored < 0:
            raise TokensLostError(f"Redis has lost tokens of {job_id}; they are declared void.")
        return bool(stored)

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        entries = await self._read(job_id, after, limit)
        if entries or wait_s <= 0:
            return entries
        loop, signal = asyncio.get_running_loop(), Signal()
        until = loop.time() + wait_s
        async with self._server.hear(_key(job_id), signal):
            while True:
                seen = signal.count
                entries = await self._read(job_id, after, limit)
                left_s = until - loop.time()
                if entries or left_s <= 0:
                    return entries
                await signal.wait(seen, min(left_s, LOOK_AGAIN_S))

    @override
    async def forget(self, ended_before: float) -> int:
        forgotten = 0
        while not forgotten and (some := await self._begun_before(ended_before)):
            forgotten = sum(
                await asyncio.gather(*(self._forget_ended(job_id, ended_before) for job_id in some))
            )
        return forgotten

    async def _begun_before(self, when: float) -> list[JobId]:
        words = ("ZRANGE", INDEX, "-inf", f"({when!r}", "BYSCORE", "LIMIT", 0, FORGET_AT_ONCE)
        return [JobId(name.decode()) for name in await self._server.run(Command(words))]

    async def _forget_ended(self, job_id: JobId, ended_before: float) -> bool:
        """Whether it had ended before then; if not, it is looked at later."""
        job = await self._jobs.get(job_id)
        ended_at = None if job is None else (job.finished_at or ended_before)
        if ended_at is not None and ended_at >= ended_before:
            await self._server.run(Command(("ZADD", INDEX, "XX", ended_at, job_id)))
            return False
        await self._server.run(Command(("DEL", _key(job_id))))
        await self._server.run(Command(("ZREM", INDEX, job_id)))
        return True

    async def _read(self, job_id: JobId, after: int, limit: int) -> list[Entry]:
        version = await self._version(job_id)
        told = await self._run("read", job_id, version, after, limit)
        return [_entry(*pair) for pair in zip(told[::2], told[1::2], strict=True)]

    async def _version(self, job_id: JobId) -> int:
        job = await self._jobs.get(job_id)
        return 0 if job is None else job.version

    async def _run(self, name: str, job_id: JobId, *arguments: Argument) -> Any:
        return await self._server.run(Call(script("stream", name), [_key(job_id)], arguments))


def _key(job_id: JobId) -> str:
    """The key of a job's stream, and its channel."""
    return f"headpond:stream:{job_id}"


def _entry(seq: int, stored: bytes) -> Entry:
    run, _, choices = stored.partition(b" ")
    return Entry(seq, int(run), choices or None)
