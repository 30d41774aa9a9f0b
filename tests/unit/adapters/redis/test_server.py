"""A server that goes away, comes back, is full or would forget: what its callers see."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from headpond.adapters.redis.cluster import RedisClusterServer
from headpond.adapters.redis.failures import refused, translated
from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.news import Signal
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.redis.script import script
from headpond.adapters.redis.server import Call, Command, RedisServer
from headpond.errors import SettingsError, Unavailable
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, message, names
from tests.redis_server import Daemon, running

SOON_S = 10.0


@pytest.fixture(params=["valkey", "redis"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Daemon]:
    """A server that may be killed. It syncs before each answer."""
    with running(tmp_path / "daemon", kind=request.param) as server:
        yield server


@pytest.fixture
async def server(daemon: Daemon) -> AsyncGenerator[RedisServer]:
    connected = RedisServer(daemon.url)
    yield connected
    await connected.close()


@pytest.fixture
def queue(server: RedisServer) -> RedisQueue:
    return RedisQueue(server, ManualClock())


async def test_nothing_that_was_acknowledged_is_lost_with_a_crash(
    daemon: Daemon, queue: RedisQueue
) -> None:
    # SPEC Q1
    sent = [message(f"job-{number}") for number in range(50)]
    await asyncio.gather(*(queue.send([each]) for each in sent))
    done = await queue.receive([BATCH], limit=10, lease_s=60)
    held = await queue.receive([BATCH], limit=10, lease_s=60)
    await queue.ack(done)
    daemon.crash()
    daemon.start()
    assert await queue.extend([*done, *held], lease_s=60) == held
    rest = await queue.receive([BATCH], limit=50, lease_s=60)
    assert sorted(names([*done, *held, *rest])) == sorted(each.job_id for each in sent)


async def test_a_server_that_is_gone_is_unavailable_and_used_again_once_it_is_back(
    daemon: Daemon, queue: RedisQueue
) -> None:
    await queue.send([message("a")])
    daemon.crash()
    with pytest.raises(Unavailable):
        await queue.depth(BATCH)
    daemon.start()
    assert (await queue.depth(BATCH)).ready == 1


async def test_a_message_whose_answer_was_lost_is_sent_again_and_is_one(queue: RedisQueue) -> None:
    await queue.send([message("a"), message("b")])
    (lease,) = await queue.receive([BATCH], limit=1, lease_s=10)
    await queue.send([message("a"), message("b")])
    depth = await queue.depth(BATCH)
    assert (depth.ready, depth.leased) == (1, 1)
    assert await queue.extend([lease], lease_s=10) == [lease]
    assert names(await queue.receive([BATCH], limit=9, lease_s=10)) == ["b"]


async def test_a_waiting_receiver_is_woken_after_the_server_was_away(
    daemon: Daemon, queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.adapters.redis.queue.LOOK_AGAIN_S", 3600.0)
    monkeypatch.setattr("headpond.adapters.redis.news.AGAIN_S", 0.05)
    waiting = asyncio.create_task(queue.receive([BATCH], limit=1, lease_s=10, wait_s=3600))
    while not await heard(daemon):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    daemon.crash()
    daemon.start()
    await queue.send([message("a")])
    async with asyncio.timeout(SOON_S):
        assert names(await waiting) == ["a"]


async def heard(valkey: Daemon) -> bool:
    """Whether somebody listens."""
    with valkey.client() as client:
        return bool(client.pubsub_channels())


async def test_a_receiver_that_waits_in_vain_leaves_no_subscription(
    daemon: Daemon, queue: RedisQueue
) -> None:
    assert await queue.receive([BATCH], limit=1, lease_s=10, wait_s=0.05) == []
    async with asyncio.timeout(SOON_S):
        while await heard(daemon):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_what_is_called_at_once_goes_out_together(daemon: Daemon) -> None:
    server = RedisServer(daemon.url)
    call = Call(script("lane", "depth"), [f"k{number}" for number in range(11)], [0.0])
    await asyncio.gather(*(server.run(call) for _ in range(100)))
    with daemon.client() as client:
        assert len(client.client_list()) == 2
    await server.close()


async def test_a_caller_that_gives_up_disturbs_nobody(server: RedisServer) -> None:
    impatient = asyncio.create_task(server.run(Command(("PING",))))
    patient = asyncio.create_task(server.run(Command(("PING",))))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient is not None


async def test_a_server_that_is_full_is_unavailable(daemon: Daemon, queue: RedisQueue) -> None:
    with daemon.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(Unavailable):
            await queue.send([message("a")])
        client.config_set("maxmemory", "0")
    await queue.send([message("a")])


async def test_a_server_that_throws_keys_away_is_refused(
    daemon: Daemon, server: RedisServer
) -> None:
    await server.check()
    with daemon.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(SettingsError, match="noeviction"):
        await server.check()
    daemon.crash()
    await server.check()


@pytest.mark.parametrize(
    ("who", "database", "words"),
    [
        ("", 0, r"The Redis server says: (?!.*wrong)"),
        (":wrong@", 0, r"The Redis server says: (?!.*:wrong)"),
        (":secret@", 99, "The Redis server says: DB index is out of range. See its URL."),
    ],
)
async def test_a_server_that_lets_us_not_in_is_told_at_once(
    daemon: Daemon, who: str, database: int, words: str
) -> None:
    with daemon.client() as client:
        client.config_set("requirepass", "secret")
    server = RedisServer(f"redis://{who}127.0.0.1:{daemon.port}/{database}")
    with pytest.raises(SettingsError, match=words):
        await server.check()
    await server.close()
    if not database:
        cluster = RedisClusterServer(f"redis://{who}127.0.0.1:{daemon.port}")
        with pytest.raises(SettingsError, match=words):
            await cluster.check()
        with pytest.raises(Unavailable, match="Redis refuses: "):
            await cluster.run(Command(("GET", "key")))
        await cluster.close()


async def test_a_server_that_is_no_cluster_is_told_at_once(daemon: Daemon) -> None:
    cluster = RedisClusterServer(daemon.url.removesuffix("/0"))
    with pytest.raises(SettingsError, match=r"says: Cluster mode is not enabled on this node\."):
        await cluster.check()
    daemon.crash()
    await cluster.check()
    await cluster.close()


async def test_a_mistake_of_ours_is_told_as_it_is(daemon: Daemon, server: RedisServer) -> None:
    with pytest.raises(Exception, match="wrong number of arguments"):
        await server.run(Command(("GET",)))
    inline = InlineServer(daemon.url)
    with pytest.raises(Exception, match="wrong number of arguments"):
        await inline.run(Command(("GET",)))
    inline.close()
    assert refused(ResponseError("BUSY Redis is busy running a script.")) is None
    error = KeyError("ours")
    assert translated(error) is error
    assert str(translated(OSError("gone."))) == "Redis does not answer: gone."
    closed = AttributeError("'NoneType' object has no attribute 'writelines'")
    assert isinstance(translated(closed), Unavailable)
    ours = AttributeError("'NoneType' object has no attribute 'key'")
    assert translated(ours) is ours


async def test_a_signal_that_was_given_before_the_wait_is_not_missed() -> None:
    signal = Signal()
    seen = signal.count
    signal.notify()
    async with asyncio.timeout(SOON_S):
        await signal.wait(seen, 3600)
