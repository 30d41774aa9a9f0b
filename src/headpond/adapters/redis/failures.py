"""The server's failures as ours."""

import re

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from headpond.errors import Unavailable

FAILURES = (RedisError, RedisClusterException, OSError)

AGAIN_LATER = re.compile(r"(?:^|: -)(?:BUSY|MISCONF|NOREPLICAS|OOM|READONLY)\b")
"""What redis-py has no class for, of a server that cannot do it now. In Redis 6.2 the answer to a
script's command comes behind the command's place in the script."""

CLOSED = re.compile(r"'NoneType' object (?:has no attribute|is not callable)")
"""What redis-py lets through of a connection that is closed while it is used (its issue 4287)."""


def translated(error: Exception) -> Exception:
    """Unavailable for what may work later; a mistake of ours as it is."""
    if type(error) is ResponseError and not AGAIN_LATER.search(str(error)):
        return error
    closed = isinstance(error, AttributeError | TypeError) and CLOSED.search(str(error))
    if not isinstance(error, FAILURES) and not closed:
        return error
    why = str(error).rstrip(".")
    unavailable = Unavailable(f"Redis does not answer: {why}.", code="redis_unavailable")
    unavailable.__cause__ = error
    return unavailable
