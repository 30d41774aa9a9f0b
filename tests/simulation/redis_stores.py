"""Stores for worlds with queue and streams on Redis, and the records elsewhere."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.queue import RedisQueue
from headpond.adapters.redis.streams import RedisTokenStreams
from headpond.domain.job import Ticket
from headpond.ports.clock import Clock
from headpond.settings import PoolSettings
from headpond.testing.simulation.stores import OpenStore, Store
from tests.redis_server import Daemon


def with_redis(valkey: Daemon, records: OpenStore) -> OpenStore:
    """The store with an emptied Redis beside it, so that its delivery takes two steps."""

    @asynccontextmanager
    async def opened(
        clock: Clock, pool: PoolSettings, new_ticket: Callable[[], Ticket]
    ) -> AsyncGenerator[Store]:
        server = InlineServer(valkey.empty().url)
        try:
            async with records(clock, pool, new_ticket) as store:
                yield replace(
                    store,
                    queue=RedisQueue(server, clock),
                    streams=RedisTokenStreams(server, store.jobs),
                    delivery=None,
                )
        finally:
            server.close()

    return opened
