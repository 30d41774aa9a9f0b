"""The server's failures as ours."""

import re

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from headpond.errors import Unavailable

FAILURES = (RedisError, RedisClusterException, OSError)

AGAIN_LATER = re.compile(r"(?:^|: -)(?:BUSY|MISCONF|NOREPLICAS|OOM|READONLY)\b")
"""What redis-py has no class for, of a server that cannot do it now. In Redis 6.2 the answer to a
script's command comes behind the command's place in the script."""


def translated(error: Exception) -> Exception:
    """Unavailable for what may work later; a mistake of ours as it is."""
    if type(error) is ResponseError and not AGAIN_LATER.search(str(error)):
        return error
    if not isinstance(error, FAILURES):
        return error
    why = str(error).rstrip(".")
    unavailable = Unavailable(f"Redis does not answer: {why}.", code="redis_unavailable")
    unavailable.__cause__ = error
    return unavailable
