"""A server that loses tokens while they are told: void is what it had, and the result is whole."""

from collections.abc import AsyncGenerator

import pytest

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.streams import RedisTokenStreams, TokensLostError
from headpond.ports.streams import Entry
from headpond.testing.clocks import ManualClock
from headpond.testing.streams_suite import HELLO, WORLD, Stage
from tests.redis_server import Daemon


@pytest.fixture
async def stage(valkey: Daemon) -> AsyncGenerator[Stage]:
    server = InlineServer(valkey.url)
    jobs = MemoryJobStore(ManualClock())
    yield Stage(RedisTokenStreams(server, jobs), jobs)
    server.close()


@pytest.mark.parametrize("lost", ["all", "the last"])
async def test_a_reader_is_told_that_what_it_has_is_void(
    stage: Stage, valkey: Daemon, lost: str
) -> None:
    job = await stage.running()
    entries = await stage.said(job, HELLO, WORLD, HELLO)
    with valkey.client() as client:
        key = f"headpond:stream:{job.id}"
        if lost == "all":
            client.delete(key)
        else:
            client.hdel(key, "3")
            client.hset(key, "last", 2)
    for _ in range(2):  # the answer to the first try may be lost
        with pytest.raises(TokensLostError):
            await stage.streams.append(job.id, Entry(4, job.version, WORLD))
    void = Entry(4, job.version)
    assert await stage.streams.read(job.id, after=3, limit=9) == [void]
    assert await stage.streams.begin(job.id, job.version) == 4
    assert (await stage.all(job))[-1] == void
    assert (await stage.all(job))[:-1] == ([] if lost == "all" else entries[:2])
