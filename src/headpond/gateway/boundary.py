"""The outermost layer: an id for each request, and no exception gets past it."""

import logging
import secrets
from collections.abc import Mapping
from itertools import count

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headpond.domain.facts import RequestRefused
from headpond.errors import RequestError, TryLater, Unavailable
from headpond.gateway.envelope import error_reply
from headpond.ports.events import Listener
from headpond.services.complaints import Complaints

log = logging.getLogger(__name__)


class Boundary:
    """Wraps the routes."""

    def __init__(self, app: ASGIApp, fixed: Mapping[str, ASGIApp], listener: Listener) -> None:
        """Calls `app`, or what `fixed` has for exactly this path."""
        self._app = app
        self._fixed = fixed
        self._listener = listener
        self._complaints = Complaints("requests", listener)
        self._prefix = f"req_{secrets.token_hex(8)}".encode()
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = b"%b%08x" % (self._prefix, next(self._numbers))
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            app = self._fixed.get(scope["path"], self._app)
            await app(scope, receive, send_with_id)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                # Too late for an answer: the server cuts the connection, and logs why.
                raise
            if isinstance(error, Unavailable):
                self._complaints.failed(error)  # The answer does not say why.
            elif not isinstance(error, RequestError | TryLater):
                log.exception("request %s failed", request_id.decode())
            body, reply = error_reply(error)
            self._listener.hear(RequestRefused(body.code, reply.status))
            await reply(scope, receive, send_with_id)
