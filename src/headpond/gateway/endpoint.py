"""Paths, the operations on them, and the calls that come in.

One table of operations drives both the routes and the OpenAPI document, so the two cannot drift.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from headpond.domain.identity import Identity, Role
from headpond.errors import Forbidden, InvalidRequest, MethodNotAllowed
from headpond.gateway.local_door import LocalDoor
from headpond.services.authentication import LOCAL, Authentication

ONCE = (b"authorization", b"host", b"origin", b"content-type", b"idempotency-key")
"""Headers that mean something else to whoever takes the first than to whoever takes the last."""

_NO_QUERY: Mapping[str, str] = {}


class Call(msgspec.Struct, frozen=True):
    """A request on its way to a handler. Header names are lower-case bytes."""

    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    query: Mapping[str, str]
    identity: Identity

    @property
    def path(self) -> str:
        return self.scope["path"]

    @property
    def id(self) -> str:
        """The `{id}` in the path."""
        return self.scope["path_params"]["id"]


Handler: TypeAlias = Callable[[Call], Awaitable[ASGIApp]]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A query parameter or header; `schema` is JSON Schema."""

    name: str
    place: str = "query"
    schema: Mapping[str, object]
    description: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a successful operation sends: a wire type, or text of another media type.

    `empty` describes the 204 of an operation that may have nothing to send, `stream` the events of
    one that answers so on request.
    """

    status: int = 200
    type: object = None
    media: str = "application/json"
    description: str = "Done."
    empty: str | None = None
    stream: str | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one path. `errors` are the statuses beside 400, 401, 403, 500 and 503.

    `media` is the body's type. `public` operations ask nobody who they are, those for an
    `operator` let nobody else in.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Answer
    body: object = None
    media: str = "application/json"
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    public: bool = False
    operator: bool = False


class Endpoint:
    """All operations on one path, as an ASGI app."""

    def __init__(
        self, operations: Sequence[Operation], authentication: Authentication, door: LocalDoor
    ) -> None:
        self._operations = {operation.method: operation for operation in operations}
        self._allowed = ", ".join(sorted(self._operations))
        if "GET" in self._operations:
            self._operations["HEAD"] = self._operations["GET"]
        self._query_names = {
            operation.method: {p.name for p in operation.parameters if p.place == "query"}
            for operation in operations
        }
        self._authentication = authentication
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is None:
            raise MethodNotAllowed(scope["method"], self._allowed)
        headers = _headers(scope["headers"])
        identity = LOCAL
        if not operation.public:
            identity = await self._authentication.identify(headers.get(b"authorization"))
            if identity is LOCAL:
                self._door.check(headers)
        if operation.operator and identity.role is not Role.OPERATOR:
            message = "This is for operators: headpond keys create --role operator makes a key."
            raise Forbidden(message, code="operators_only")
        query = _NO_QUERY
        if scope["query_string"]:
            query = _query(scope["query_string"], self._query_names[operation.method])
        answer = await operation.handler(Call(scope, receive, headers, query, identity))
        await answer(scope, receive, send)


def _headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """By name; of one that came several times the last. Raises InvalidRequest."""
    headers = dict(pairs)
    if len(headers) < len(pairs):
        for name in ONCE:
            if sum(given == name for given, _ in pairs) > 1:
                message = f"The header {name.decode()} came twice."
                raise InvalidRequest(message, code="invalid_value", param=name.decode())
    return headers


def _query(query_string: bytes, names: set[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, max_num_fields=32, errors="strict"
        )
    except ValueError as error:
        message = "The query string is malformed."
        raise InvalidRequest(message, code="invalid_query") from error
    query: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            message = f"There is no query parameter {name[:64]!r} here."
            raise InvalidRequest(message, code="unknown_parameter", param=name[:64])
        if name in query:
            message = f"The query parameter {name!r} came twice."
            raise InvalidRequest(message, code="invalid_value", param=name)
        query[name] = value
    return query
