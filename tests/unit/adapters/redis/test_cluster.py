"""A cluster of three masters: where things lie, and what it bears."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio.cluster import NodesManager

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.redis.buckets import RedisBuckets
from headpond.adapters.redis.cache import RedisAnswerCache
from headpond.adapters.redis.cluster import RedisClusterServer
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.redis.streams import RedisTokenStreams
from headpond.domain.job import Usage
from headpond.domain.lane import Lane, Priority, lanes_of
from headpond.domain.outcome import Settlement
from headpond.errors import Unavailable
from headpond.ports.buckets import Draw, Drawn
from headpond.settings import PoolSettings, Settings
from headpond.testing.cache_suite import KEEP_S, a_name
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import message
from headpond.testing.records import RESPONSE, new_job
from headpond.testing.streams_suite import HELLO, Stage
from headpond.wiring.stores import open_store
from tests.redis_server import Daemon, running_cluster


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


async def test_a_burst_of_calls_to_one_node_takes_turns(cluster: list[Daemon]) -> None:
    server = RedisClusterServer(cluster[0].url)
    buckets = RedisBuckets(server, ManualClock())
    draws = [Draw("requests", 600, 1)]
    drawn = await asyncio.gather(*(buckets.take("burst", draws) for _ in range(500)))
    assert all(each.taken for each in drawn)
    await server.close()


async def test_many_who_call_first_at_one_moment_find_the_nodes_once(
    cluster: list[Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    find, looks = NodesManager.initialize, 0

    async def counted(nodes: NodesManager, **how: Any) -> None:
        nonlocal looks
        looks += 1
        await find(nodes, **how)

    monkeypatch.setattr(NodesManager, "initialize", counted)
    for number in range(20):
        server = RedisClusterServer(cluster[number % 3].url)
        looks = 0
        buckets = RedisBuckets(server, ManualClock())
        calls = (buckets.take(f"team-{n}", [Draw("requests", 600, 1)]) for n in range(60))
        assert all(each.taken for each in await asyncio.gather(*calls))
        assert looks == 1
        await server.close()


async def test_a_node_that_is_away_holds_up_what_lies_there_alone(
    cluster: list[Daemon],
) -> None:
    server = RedisClusterServer(cluster[0].url)
    buckets = RedisBuckets(server, ManualClock())

    async def taken() -> list[bool]:
        calls = (buckets.take(f"team-{n}", [Draw("requests", 600, 1)]) for n in range(30))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [each for each in results if not isinstance(each, Drawn | Unavailable)] == []
        return [isinstance(each, Drawn) for each in results]

    assert all(await taken())
    cluster[1].crash()
    some = await taken()
    assert any(some)
    assert not all(some)
    cluster[1].start()
    async with asyncio.timeout(30):
        while not all(await taken()):
            pass
    await server.close()


async def test_settings_name_it(cluster: list[Daemon], tmp_path: Path) -> None:
    url = cluster[2].url.replace("redis://", "redis+cluster://").removesuffix("/0")
    settings = Settings(home=str(tmp_path), queue=url, streams=url)
    async with open_store(settings) as store:
        delivery, job = store.delivery(PoolSettings()), new_job()
        await delivery.submit(job)
        (claim,) = await delivery.claim(lanes_of("default"), worker="worker", limit=1, wait_s=5)
        assert claim.job.id == job.job.id
        ended = claim.job.succeeded(store.clock.now(), engine="engine", usage=Usage(1, 1))
        assert await delivery.settle(claim, Settlement(job=ended, response=RESPONSE))
