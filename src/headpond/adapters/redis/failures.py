"""The server's failures as ours."""

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from headpond.errors import Unavailable

FAILURES = (RedisError, RedisClusterException, OSError)

AGAIN_LATER = ("BUSY", "MISCONF", "NOREPLICAS")
"""How answers begin that redis-py has no class for, of a server that cannot do it now."""


def translated(error: Exception) -> Exception:
    """Unavailable for what may work later; a mistake of ours as it is."""
    if type(error) is ResponseError and not str(error).startswith(AGAIN_LATER):
        return error
    if not isinstance(error, FAILURES):
        return error
    unavailable = Unavailable(f"Redis does not answer: {error}.", code="redis_unavailable")
    unavailable.__cause__ = error
    return unavailable
