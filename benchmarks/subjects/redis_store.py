"""What the Redis subjects share: emptying the server and counting keys."""

from typing import cast

from redis import Redis


def empty(url: str) -> None:
    """Delete everything on the server."""
    with Redis.from_url(url) as redis:
        redis.flushall()


def keys(url: str, pattern: str = "*", kind: str | None = None) -> list[bytes]:
    """Return the keys that match the pattern, of one Redis type where `kind` is given."""
    with Redis.from_url(url) as redis:
        return list(redis.scan_iter(match=pattern, count=5000, _type=kind))


def values_containing(url: str, pattern: str, part: bytes) -> int:
    """Count the string values under matching keys that contain `part`."""
    found = keys(url, pattern)
    if not found:
        return 0
    with Redis.from_url(url) as redis:
        values = cast("list[bytes | None]", redis.mget(found))
    return sum(part in (value or b"") for value in values)
