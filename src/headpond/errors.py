"""One error tree, branched by what the caller should do.

HeadpondError
├── RequestError              fix the request            (HTTP 4xx)
│   ├── InvalidRequest            400, 413, 422
│   │   └── TooLarge                  413
│   ├── Unauthenticated           401
│   ├── Forbidden                 403
│   ├── NotFound                  404
│   └── MethodNotAllowed          405
├── TryLater                  the same call may work     (HTTP 429, 503)
│   ├── RateLimited               429
│   └── Unavailable               503
├── Unreadable                a newer release wrote the record, or it is damaged
├── SettingsError             fix headpond.yaml, the environment or a command's options
└── MissingExtra              install the named extra
"""

from typing_extensions import override


class HeadpondError(Exception):
    """Root of everything that Headpond raises on purpose."""


class RequestError(HeadpondError):
    """The request itself is at fault; sending it again changes nothing.

    `code` is a stable word for programs, `param` the field at fault in the caller's own
    notation, `status` the HTTP status that tells it.
    """

    status = 400
    type = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        param: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        if status is not None:
            self.status = status


class InvalidRequest(RequestError):
    """The body, a parameter or a header is not what the interface takes."""


class TooLarge(InvalidRequest):
    """A body of so many bytes has no place in the store, now or later."""

    status = 413


class Unauthenticated(RequestError):
    """No key or token, or one that is unknown, revoked or expired."""

    status = 401
    type = "authentication_error"


class Forbidden(RequestError):
    """Known, but not allowed to do this."""

    status = 403
    type = "permission_error"


class NotFound(RequestError):
    """No such thing, or not one that the caller's team may see: the two look the same."""

    status = 404


class MethodNotAllowed(RequestError):
    """The path exists, but not with this method; `allowed` are those that it has."""

    status = 405

    def __init__(self, method: str, allowed: str) -> None:
        message = f"{method} is not possible here; use {allowed}."
        super().__init__(message, code="method_not_allowed")
        self.allowed = allowed


class TryLater(HeadpondError):
    """Nothing is wrong with the request; `retry_after_s` is when to send it again, at least 1."""

    status = 503
    type = "server_error"

    def __init__(self, message: str, *, code: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retry_after_s = max(1.0, retry_after_s)


class RateLimited(TryLater):
    """The team has used what its limits allow for now: `limit` of `unit` a minute."""

    status = 429
    type = "rate_limit_error"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retry_after_s: float,
        unit: str,
        limit: int,
        remaining: int = 0,
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.unit = unit
        self.limit = limit
        self.remaining = remaining


class Unavailable(TryLater):
    """A store, queue or engine that the call needs does not answer.

    `why` is for whoever runs Headpond, and may hold addresses and names from inside: the log and
    the console say it, an answer to a client has the message alone.
    """

    def __init__(
        self, message: str, *, code: str, why: str = "", retry_after_s: float = 1.0
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.why = why

    @override
    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}: {self.why.rstrip('.')}." if self.why else self.message


class Unreadable(HeadpondError):
    """A record that a newer release wrote, or a damaged one: it is to be left as it is."""


class SettingsError(HeadpondError):
    """A setting is wrong; the message names where it stands and what is allowed.

    `place` is the path of the setting, where whoever catches it could take it for another one.
    """

    def __init__(self, message: str, *, place: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.place = place


class MissingExtra(HeadpondError):
    """An optional dependency is not installed; the message holds the command that installs it.

    `need` is the message without the command, for who tells of several.
    """

    def __init__(self, extra: str, purpose: str) -> None:
        self.extra = extra
        self.need = f"{purpose} needs the extra {extra}."
        super().__init__(f"{self.need} {installing(extra)}")


def installing(*extras: str) -> str:
    """How these extras are installed, in one command."""
    options = " ".join(f"--extra {extra}" for extra in extras)
    return (
        f"In the checkout of Headpond: pip install '.[{','.join(extras)}]', "
        f"or with uv: uv sync {options}"
    )


def told(error: BaseException) -> str:
    """What a log says of it, on one line: of our own the code, or the class, and the message."""
    if not isinstance(error, HeadpondError):
        return repr(error)
    code = error.code if isinstance(error, RequestError | TryLater) else type(error).__name__
    return f"{code}: {' '.join(str(error).split())}"
