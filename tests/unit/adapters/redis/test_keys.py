"""What is left in Redis when the work is done, and where it lies in a cluster."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.redis.buckets import RedisBuckets
from headpond.adapters.redis.cache import RedisAnswerCache
from headpond.adapters.redis.cluster import RedisClusterServer
from headpond.adapters.redis.queue import RedisQueue, keys_of
from headpond.adapters.redis.server import RedisServer
from headpond.adapters.redis.streams import RedisTokenStreams
from headpond.domain.lane import Lane, Priority
from headpond.ports.buckets import Draw
from headpond.testing.cache_suite import KEEP_S, a_name
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, INTERACTIVE, OTHER_POOL, message
from headpond.testing.streams_suite import HELLO, Stage
from tests.redis_server import Daemon, Kind, running_cluster

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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Daemon]]:
    """Three masters, each with a third of the slots."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


async def test_lanes_lie_apart_in_a_cluster_and_each_in_one_place(cluster: list[Daemon]) -> None:
    server = RedisClusterServer(cluster[0].url)
    queue = RedisQueue(server, ManualClock())
    lanes = [Lane(f"pool-{number}", priority) for number in range(9) for priority in Priority]
    await queue.send([message("a", lane) for lane in lanes])
    assert all(node.all_keys() for node in cluster)
    leases = await queue.receive(lanes, limit=100, lease_s=10)
    assert [lease.message.lane for lease in leases] == lanes
    await queue.ack(leases)
    jobs = MemoryJobStore(ManualClock())
    stage = Stage(RedisTokenStreams(server, jobs), jobs)
    entries = await stage.said(await stage.claimed(await stage.running()), HELLO)
    assert len(entries) == 1
    assert (await RedisBuckets(server, ManualClock()).take("t", [Draw("requests", 1, 1)])).taken
    await server.close()


async def test_answers_lie_all_over_a_cluster(cluster: list[Daemon]) -> None:
    server = RedisClusterServer(cluster[0].url)
    cache = RedisAnswerCache(server, ManualClock())
    for number in range(20):
        await cache.put(a_name(number), b"%d" % number, KEEP_S)
    assert [await cache.get(a_name(number)) for number in range(20)] == [
        b"%d" % number for number in range(20)
    ]
    assert all(any("answer" in key for key in node.all_keys()) for node in cluster)
    await server.close()


async def test_a_receiver_hears_of_a_send_wherever_in_the_cluster(
    cluster: list[Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.adapters.redis.queue.LOOK_AGAIN_S", 3600.0)
    sender, receiver = RedisClusterServer(cluster[0].url), RedisClusterServer(cluster[1].url)
    clock = ManualClock()
    for number in range(4):
        lane = Lane(f"woken-{number}", Priority.BATCH)
        waiting = asyncio.create_task(
            RedisQueue(receiver, clock).receive([lane], limit=1, lease_s=10, wait_s=30)
        )
        await asyncio.sleep(0)
        await RedisQueue(sender, clock).send([message("a", lane)])
        assert len(await waiting) == 1
    await sender.close()
    await receiver.close()


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
        server.kill()
        server.start()
        after = RedisServer(server.url)
        kept = await RedisQueue(after, clock).receive([BATCH], limit=20, lease_s=10)
        assert [lease.message.job_id for lease in kept] == [f"{number}" for number in range(5, 20)]
        await after.close()
    finally:
        server.kill()
