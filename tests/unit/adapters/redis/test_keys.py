"""What is left in Redis when the work is done."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.redis.buckets import RedisBuckets
from headpond.adapters.redis.queue import RedisQueue, keys_of
from headpond.adapters.redis.server import RedisServer
from headpond.adapters.redis.streams import RedisTokenStreams
from headpond.ports.buckets import Draw
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, INTERACTIVE, OTHER_POOL, message
from headpond.testing.streams_suite import HELLO, Stage
from tests.redis_server import Daemon, Kind

LANES = (BATCH, INTERACTIVE, OTHER_POOL)


@pytest.fixture
async def server(valkey: Daemon) -> AsyncGenerator[RedisServer]:
    connected = RedisServer(valkey.url)
    yield connected
    await connected.close()


async def test_a_lane_that_was_worked_off_leaves_no_more_than_its_teams(
    valkey: Daemon, server: RedisServer
) -> None:
    clock = ManualClock()
    queue = RedisQueue(server, clock)
    for number in range(100):
        team = f"team-{number % 7}"
        await queue.send([message(f"{number}", team=team)], delay_s=number % 3)
    for take in (queue.ack, queue.drop, queue.give_back):
        await take(await queue.receive([BATCH], limit=20, lease_s=10))
    clock.advance(20)
    while leases := await queue.receive([BATCH], limit=20, lease_s=10):
        await queue.ack(leases)
    assert {key.rpartition(":")[2] for key in valkey.all_keys()} <= {"lane", "teams", "idle"}
    lane, *_, idle, teams, _, _, _ = keys_of(BATCH)
    with valkey.client() as client:
        assert client.hlen(lane) == 3
        assert client.hlen(teams) == client.zcard(idle) <= 7


async def test_a_stream_that_was_forgotten_leaves_nothing(
    valkey: Daemon, server: RedisServer
) -> None:
    jobs = MemoryJobStore(ManualClock())
    stage = Stage(RedisTokenStreams(server, jobs), jobs)
    for _ in range(5):
        job = await stage.running()
        await stage.said(job, HELLO, HELLO)
        await stage.swapped(job.cancelled(1_000_010.0))
    assert await stage.streams.forget(1_000_020.0) == 5
    assert valkey.all_keys() == []


async def test_a_bucket_goes_by_itself_once_it_is_full(valkey: Daemon, server: RedisServer) -> None:
    buckets = RedisBuckets(server, ManualClock())
    await buckets.take("team", [Draw("requests", 10, 0)])
    assert valkey.all_keys() == []
    await buckets.take("team", [Draw("requests", 10, 1)])
    (key,) = valkey.all_keys()
    with valkey.client() as client:
        assert 60 < client.ttl(key) <= 120


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_what_was_acknowledged_outlives_a_crash_of_the_server(
    tmp_path: Path, kind: Kind
) -> None:
    server = Daemon(tmp_path / "crashing", kind=kind).start()
    clock = ManualClock()
    try:
        before = RedisServer(server.url)
        queue = RedisQueue(before, clock)
        await queue.send([message(f"{number}") for number in range(20)])
        await queue.ack(await queue.receive([BATCH], limit=5, lease_s=10))
        await before.close()
        server.crash()
        server.start()
        after = RedisServer(server.url)
        kept = await RedisQueue(after, clock).receive([BATCH], limit=20, lease_s=10)
        assert [lease.message.job_id for lease in kept] == [f"{number}" for number in range(5, 20)]
        await after.close()
    finally:
        server.crash()
