"""Clients of the library, none of whose settings is left to chance.

They are `Any`: the library's types leave most of what it takes and gives unknown.
"""

from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.retry import Retry as InlineRetry

TIMEOUT_S = 5.0
"""For a round trip. A server that syncs each second may hold writers up for two."""

ONCE_MORE = 1
"""A call that finds its connection broken is made again at once."""


def calling(url: str) -> Any:
    """For calls that are answered at once."""
    return cast("Any", redis.asyncio.Redis).from_url(
        url,
        protocol=2,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), ONCE_MORE),
    )


def clustered(url: str) -> Any:
    """For calls that each go to the master of their keys."""
    return cast("Any", redis.asyncio.RedisCluster).from_url(
        url,
        protocol=2,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), ONCE_MORE),
    )


def listening(url: str) -> Any:
    """For whoever waits as long as nothing is said, and sees to a broken connection itself."""
    return cast("Any", redis.asyncio.Redis).from_url(
        url,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def blocking(url: str) -> Any:
    """For calls that hold up the event loop."""
    return cast("Any", redis.Redis).from_url(
        url,
        protocol=2,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=InlineRetry(NoBackoff(), ONCE_MORE),
    )
