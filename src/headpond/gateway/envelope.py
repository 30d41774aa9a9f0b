"""Every error in OpenAI's envelope, all four keys always present.

The official clients retry 408, 409, 429 and 5xx by themselves; `x-should-retry: false` stops them
where a second try would do nothing, or would make a second job.
"""

import math

import msgspec
from msgspec import UNSET, UnsetType

from headpond.errors import MethodNotAllowed, RateLimited, RequestError, TryLater
from headpond.gateway.reply import Header, Reply, json_reply

DO_NOT_RETRY: Header = (b"x-should-retry", b"false")


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """`param` names the field at fault, if one is. The job's id and page where there is a job."""

    message: str
    type: str
    param: str | None = None
    code: str
    job_id: str | UnsetType = UNSET
    poll_url: str | UnsetType = UNSET


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """The body of every answer that is not 2xx."""

    error: ErrorBody


def error_reply(error: Exception) -> tuple[ErrorBody, Reply]:
    """What the client is told about an error, and the answer that says so."""
    match error:
        case RequestError():
            body = ErrorBody(
                message=error.message, type=error.type, param=error.param, code=error.code
            )
            return body, _reply(body, error.status, DO_NOT_RETRY, *_request_headers(error))
        case TryLater():
            body = ErrorBody(message=error.message, type=error.type, code=error.code)
            return body, _reply(body, error.status, *_later_headers(error))
        case _:
            message = "Something is broken here, not in your request. It has been logged."
            body = ErrorBody(message=message, type="server_error", code="internal_error")
            return body, _reply(body, 500)


def _reply(body: ErrorBody, status: int, *headers: Header) -> Reply:
    return json_reply(ErrorEnvelope(body), status, headers)


def _request_headers(error: RequestError) -> list[Header]:
    match error:
        case MethodNotAllowed():
            return [(b"allow", error.allowed.encode())]
        case RequestError(status=401):
            return [(b"www-authenticate", b"Bearer")]
        case RequestError(status=408):
            # Nobody knows where in the stream the next request would begin. After a 413 the server
            # reads on and throws away: closing would reset the connection under a client that
            # still sends, and it would never see the answer.
            return [(b"connection", b"close")]
        case _:
            return []


def _later_headers(error: TryLater) -> list[Header]:
    headers = [(b"retry-after", str(math.ceil(error.retry_after_s)).encode())]
    if isinstance(error, RateLimited):
        unit = error.unit.encode()
        headers += [
            (b"x-ratelimit-limit-" + unit, str(error.limit).encode()),
            (b"x-ratelimit-remaining-" + unit, str(error.remaining).encode()),
            (b"x-ratelimit-reset-" + unit, b"%ds" % math.ceil(error.retry_after_s)),
        ]
    return headers
