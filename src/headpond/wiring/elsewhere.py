"""What the settings put elsewhere than in the store: the queue, token streams, rate limits."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headpond.errors import MissingExtra
from headpond.ports.buckets import Buckets
from headpond.ports.clock import Clock
from headpond.ports.jobs import JobStore
from headpond.ports.queue import MessageLookup, Queue
from headpond.ports.streams import TokenStreams
from headpond.settings import Settings

if TYPE_CHECKING:
    from headpond.adapters.redis.server import RedisServer


class ApartQueue(Queue, MessageLookup, Protocol):
    """A queue beside the store, which may lose what the store knows of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Elsewhere:
    """None stays as the store has it."""

    queue: ApartQueue | None
    streams: TokenStreams | None
    buckets: Buckets | None


@asynccontextmanager
async def open_elsewhere(
    settings: Settings, clock: Clock, jobs: JobStore
) -> AsyncGenerator[Elsewhere]:
    """Raises SettingsError, MissingExtra."""
    async with AsyncExitStack() as stack:
        servers = Servers(stack)
        yield Elsewhere(
            queue=await _queue(settings.queue, servers, clock),
            streams=await _streams(settings.streams, servers, jobs),
            buckets=await _buckets(settings.limits.shared, servers, clock),
        )


class Servers:
    """One connection for each server, however many of its powers are used."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._opened: dict[str, RedisServer] = {}

    async def at(self, url: str) -> "RedisServer":
        """The server, opened if it isn't yet. Raises SettingsError, MissingExtra."""
        if url not in self._opened:
            server = self._opened[url] = _server(url)
            self._stack.push_async_callback(server.close)
            await server.refuse_eviction()
        return self._opened[url]


def _server(url: str) -> "RedisServer":
    try:
        from headpond.adapters.redis.cluster import RedisClusterServer
        from headpond.adapters.redis.server import RedisServer
    except ImportError as error:
        raise MissingExtra("redis", "What the settings put in Redis") from error
    scheme, _, place = url.partition("://")
    match scheme.partition("+"):
        case (plain, _, "cluster"):
            return RedisClusterServer(f"{plain}://{place}")
        case _:
            return RedisServer(url)


async def _queue(url: str | None, servers: Servers, clock: Clock) -> ApartQueue | None:
    if url is None:
        return None
    server = await servers.at(url)
    from headpond.adapters.redis.queue import RedisQueue

    return RedisQueue(server, clock)


async def _streams(url: str | None, servers: Servers, jobs: JobStore) -> TokenStreams | None:
    if url is None:
        return None
    server = await servers.at(url)
    from headpond.adapters.redis.streams import RedisTokenStreams

    return RedisTokenStreams(server, jobs)


async def _buckets(url: str | None, servers: Servers, clock: Clock) -> Buckets | None:
    if url is None:
        return None
    server = await servers.at(url)
    from headpond.adapters.redis.buckets import RedisBuckets

    return RedisBuckets(server, clock)
