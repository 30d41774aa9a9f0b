"""The cache of answers: for workers alone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.adapters.sqlite.cache import SqliteAnswerCache
from headpond.ports.cache import AnswerCache
from headpond.ports.clock import Clock
from headpond.settings import Settings
from headpond.wiring.elsewhere import redis_at
from headpond.wiring.stores import home_of


@asynccontextmanager
async def open_cache(settings: Settings, clock: Clock) -> AsyncGenerator[AnswerCache | None]:
    """What the settings name, None where nothing is remembered. Raises SettingsError, MissingExtra.

    On Redis it has a connection of its own, so that no queue waits for it.
    """
    url = settings.cache.url
    match (url or "").partition("://"):
        case ("", _, _):
            yield None
        case ("sqlite", _, file):
            path = home_of(settings) / file.removeprefix("/")
            sqlite = SqliteAnswerCache(path, clock, max_bytes=settings.cache.max_bytes)
            try:
                yield sqlite
            finally:
                await sqlite.close()
        case _:
            server = redis_at(str(url))
            from headpond.adapters.redis.cache import RedisAnswerCache

            try:
                yield RedisAnswerCache(server, clock)
            finally:
                await server.close()
