"""The server's failures as ours."""

import re

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from headpond.errors import Unavailable

FAILURES = (RedisError, RedisClusterException, OSError)

AGAIN_LATER = re.compile(r"(?:^|: -)(?:BUSY|MISCONF|NOREPLICAS|OOM|READONLY)\b")
"""What redis-py has no class for, of a server that cannot do it now. In Redis 6.2 the answer to a
script's command comes behind the command's place in the script."""

CLOSED = re.compile(
    r"'NoneType' object (?:is not callable"
    r"|has no attribute '(?:_add_writer|write|writelines|drain|feed|read|readexactly|readline)')"
)
"""What redis-py lets through of a connection that is closed while it is used (its issue 4287)."""

NO_CLUSTER = "Cluster mode is not enabled"


def translated(error: Exception) -> Exception:
    """Unavailable for what may work later; a mistake of ours as it is."""
    if type(error) is ResponseError and not AGAIN_LATER.search(str(error)):
        return error
    closed = isinstance(error, AttributeError | TypeError) and CLOSED.search(str(error))
    if not isinstance(error, FAILURES) and not closed:
        return error
    refusal = refused(error)
    message = "Redis does not answer." if refusal is None else "Redis refuses."
    unavailable = Unavailable(message, why=refusal or _said(error), code="redis_unavailable")
    unavailable.__cause__ = error
    return unavailable


def refused(error: BaseException) -> str | None:
    """What a server says that will say the same again, None if it may not.

    Who may not come in has to change the URL, and so has who names a database that is not there.
    """
    if isinstance(error, AuthenticationError | AuthorizationError):
        return _said(error)
    if type(error) is ResponseError and not AGAIN_LATER.search(str(error)):
        return _said(error)
    if isinstance(error, RedisClusterException):
        if error.__cause__ is not None:
            return refused(error.__cause__)
        return _said(error) if NO_CLUSTER in str(error) else None
    return None


def _said(error: BaseException) -> str:
    return str(error).rstrip(".")
