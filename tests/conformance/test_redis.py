"""The Redis adapters keep the contracts on a real server, over asyncio and inline."""

from collections.abc import AsyncGenerator

import pytest
from typing_extensions import override

from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.redis.server import RedisServer, Server
from headpond.testing.clocks import ManualClock
from headpond.testing.fair_queue_suite import FairQueueSuite
from headpond.testing.message_lookup_suite import MessageLookupSuite
from tests.redis_server import Valkey


@pytest.fixture(params=["asyncio", "inline"])
async def server(valkey: Valkey, request: pytest.FixtureRequest) -> AsyncGenerator[Server]:
    if request.param == "inline":
        inline = InlineServer(valkey.url)
        yield inline
        inline.close()
    else:
        connected = RedisServer(valkey.url)
        yield connected
        await connected.close()


class TestRedisQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock, server: Server) -> RedisQueue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return RedisQueue(server, clock)


class TestRedisMessageLookup(MessageLookupSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock, server: Server) -> RedisQueue:  # pyright: ignore[reportIncompatibleMethodOverride]
        return RedisQueue(server, clock)
