"""A bare HTTP/1.1 server on asyncio, for servers that tests and benchmarks pretend to be.

It costs a few microseconds a request, so that a benchmark measures what it means to measure, and
it can misbehave where a web framework is too well-bred: cut a body short, drop a connection.
Requests are answered one at a time on each connection (no pipelining).
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

import httptools
from typing_extensions import override

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Exchange:
    """One request and the way to answer it: once, with `answer`, `cut` or `drop`, or in parts.

    An answer in parts is `begin`, any number of `send`, then `end` or `hang_up`. `on_abandoned` is
    called if the client goes away before the end.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.on_abandoned: Callable[[], None] | None = None
        self.open = True
        self._transport = transport

    def answer(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole response; the connection stays open for the next request."""
        self._close()
        self._transport.write(_head(status, len(body), content_type, headers or {}) + body)

    def begin(self, status: int, content_type: str) -> None:
        """Send the head of a response whose length nobody knows yet."""
        self._transport.write(
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
            f"Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

    def send(self, part: bytes) -> None:
        """Send a part of what was begun."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))

    def end(self) -> None:
        """End what was begun; the connection stays open for the next request."""
        self._close()
        self._transport.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        """Leave what was begun without an end; what was sent still arrives."""
        self._close()
        self._transport.close()

    def cut(self, status: int, body: bytes) -> None:
        """Promise the whole body, send half of it, and hang up."""
        self._close()
        head = _head(status, len(body), "application/json", {})
        self._transport.write(head + body[: len(body) // 2])
        self._transport.close()

    def drop(self) -> None:
        """Hang up without a word."""
        self._close()
        self._transport.abort()

    def abandon(self) -> None:
        """The connection is gone: tell whoever works on the answer."""
        if self.open:
            self._close()
            if self.on_abandoned is not None:
                self.on_abandoned()

    def _close(self) -> None:
        if not self.open:
            message = "this exchange is answered already"
            raise RuntimeError(message)
        self.open = False


Handler = Callable[[Exchange], None]


class HttpServer:
    """Listens on the loopback address and hands each request to `handler`, which may answer later.

    Can be started again after a stop, on the port it had.
    """

    def __init__(self, handler: Handler, *, port: int = 0) -> None:
        self.port = port
        self._handler = handler
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; `port` is the real one afterwards."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self._handler, self._connections),
            "127.0.0.1",
            self.port,
            backlog=1024,  # a benchmark's clients all come at once
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every connection, as a dying process does. Works twice."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._server.wait_closed()
        self._server = None


class _Connection(asyncio.Protocol):
    """Parser callbacks on one side, the handler on the other."""

    def __init__(self, handler: Handler, connections: "set[_Connection]") -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._exchange: Exchange | None = None
        self._begin()

    def _begin(self) -> None:
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._exchange is not None:
            self._exchange.abandon()

    def abort(self) -> None:
        self._transport.abort()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._exchange = Exchange(
            self._transport,
            self._parser.get_method().decode(),
            self._path.decode("latin-1"),
            self._headers,
            b"".join(self._body),
        )
        self._begin()
        self._handler(self._exchange)


def _head(status: int, length: int, content_type: str, headers: Mapping[str, str]) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()
