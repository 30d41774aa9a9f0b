"""Answers on Redis: the server forgets them by itself, and what is not ours is not there."""

from collections.abc import AsyncIterator

import pytest

from headpond.adapters.redis.cache import RedisAnswerCache
from headpond.adapters.redis.server import RedisServer
from headpond.errors import Unavailable
from headpond.testing.cache_suite import KEEP_S, a_name
from headpond.testing.clocks import ManualClock
from tests.chaos.processes import free_port
from tests.redis_server import Daemon


@pytest.fixture
async def cache(valkey: Daemon) -> AsyncIterator[RedisAnswerCache]:
    server = RedisServer(valkey.url)
    yield RedisAnswerCache(server, ManualClock())
    await server.close()


async def test_the_server_forgets_by_itself(valkey: Daemon, cache: RedisAnswerCache) -> None:
    await cache.put(a_name(1), b"answer", KEEP_S)
    await cache.put(a_name(2), b"answer", 0.0001)
    with valkey.client() as client:
        (key,) = [key for key in client.scan_iter() if key.endswith(a_name(1).encode())]
        assert key.startswith(b"headpond:answer:")
        assert 0 < client.pttl(key) <= 1_000 * KEEP_S


async def test_what_somebody_else_wrote_there_is_not_there(
    valkey: Daemon, cache: RedisAnswerCache
) -> None:
    with valkey.client() as client:
        client.set(f"headpond:answer:{a_name(1)}", b"\xff what")
    assert await cache.get(a_name(1)) is None


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    server = RedisServer(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable):
        await RedisAnswerCache(server, ManualClock()).get(a_name(1))
    await server.close()
