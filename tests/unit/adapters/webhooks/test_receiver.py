"""Real servers and a name server of our own. SPEC G3."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from headpond.adapters.webhooks.receiver import HttpReceiver
from headpond.domain.dispatch import Replied, Unreached
from headpond.domain.public_address import AddressRule
from headpond.testing.http_server import Exchange, HttpServer

LOOPBACK = AddressRule(("127.0.0.1/32",), allow_http=True)
PUBLIC = "93.184.215.14"


class Names(AbstractResolver):
    """Answers each question with the next list of addresses, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    @override
    async def close(self) -> None:
        return


class Server:
    """Answers as `handler` does, and counts who came."""

    def __init__(self, handler: Callable[[Exchange], None]) -> None:
        self._handler = handler
        self.exchanges: list[Exchange] = []
        self._server = HttpServer(self._handle)

    def _handle(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self._handler(exchange)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[int]:
        await self._server.start()
        yield self._server.port
        await self._server.stop()


def silence(exchange: Exchange) -> None:
    """Never answers."""
    del exchange


@asynccontextmanager
async def receiver(
    rule: AddressRule = LOOPBACK, *, timeout_s: float = 5.0, names: Names | None = None
) -> AsyncGenerator[HttpReceiver]:
    opened = HttpReceiver(rule, timeout_s=timeout_s, resolver=names)
    yield opened
    await opened.close()


def status(code: int, **headers: str) -> Callable[[Exchange], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(code, b"", headers=named)


async def test_body_and_headers_arrive_as_they_are() -> None:
    server = Server(status(204))
    async with server.running() as port, receiver() as web:
        reaction = await web.post(f"http://127.0.0.1:{port}/a?b=c", {"webhook-id": "m"}, b'{"a":1}')
    (exchange,) = server.exchanges
    assert reaction == Replied(204)
    assert (exchange.method, exchange.path, exchange.body) == ("POST", "/a?b=c", b'{"a":1}')
    assert exchange.headers["webhook-id"] == "m"
    assert exchange.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("code", "wished"), [(500, None), (410, None), (429, "7"), (503, "junk")])
async def test_statuses_are_told_with_the_receivers_wish(code: int, wished: str | None) -> None:
    headers = {} if wished is None else {"retry_after": wished}
    server = Server(status(code, **headers))
    async with server.running() as port, receiver() as web:
        reaction = await web.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert reaction == Replied(code, 7.0 if wished == "7" else None)


async def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    inside = Server(status(200))
    async with inside.running() as private:
        server = Server(status(307, location=f"http://127.0.0.1:{private}/"))
        async with server.running() as port, receiver() as web:
            assert await web.post(f"http://127.0.0.1:{port}/", {}, b"{}") == Replied(307)
    assert inside.exchanges == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])  # noqa: S104
async def test_a_private_address_is_not_connected_to(host: str) -> None:
    server = Server(status(200))
    async with server.running() as port, receiver(AddressRule(allow_http=True)) as web:
        reaction = await web.post(f"http://{host}:{port}/", {}, b"{}")
    assert isinstance(reaction, Unreached)
    assert "not a public address" in reaction.reason
    assert server.exchanges == []


async def test_a_name_that_answers_otherwise_the_second_time_gains_nothing() -> None:
    """Whoever asked before was told a public address; the connection is what is judged."""
    server = Server(status(200))
    names = Names([PUBLIC], ["127.0.0.1"])
    first = await names.resolve("rebind.example")
    rule = AddressRule(allow_http=True)
    assert rule.address_fault(first[0]["host"]) is None
    async with server.running() as port, receiver(rule, names=names) as web:
        reaction = await web.post(f"http://rebind.example:{port}/", {}, b"{}")
    assert isinstance(reaction, Unreached)
    assert "127.0.0.1 is not a public address" in reaction.reason
    assert names.asked == 2
    assert server.exchanges == []


async def test_each_attempt_is_judged_anew() -> None:
    server = Server(status(200))
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with server.running() as port, receiver(names=names) as web:
        url = f"http://name.example:{port}/"
        assert await web.post(url, {}, b"{}") == Replied(200)
        assert isinstance(await web.post(url, {}, b"{}"), Unreached)
    assert names.asked == 2


async def test_a_name_with_an_allowed_and_a_private_address_reaches_the_allowed_one_alone() -> None:
    server = Server(status(200))
    names = Names(["127.0.0.2", "::1", "127.0.0.1"])
    async with server.running() as port, receiver(names=names) as web:
        assert await web.post(f"http://name.example:{port}/", {}, b"{}") == Replied(200)


async def test_one_that_hangs_is_left_after_the_time_out() -> None:
    server = Server(silence)
    async with server.running() as port, receiver(timeout_s=0.2) as web:
        reaction = await web.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert reaction == Unreached("No answer within 0.2 seconds.")


async def test_a_body_without_end_is_not_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            cut.set()
        finally:
            writer.close()

    cut = asyncio.Event()
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with receiver() as web:
        assert await web.post(f"http://127.0.0.1:{port}/", {}, b"{}") == Replied(200)
        await asyncio.wait_for(cut.wait(), 5)
    server.close()
    await server.wait_closed()


async def test_no_answer_is_no_exception() -> None:
    server = Server(Exchange.drop)
    async with server.running() as port, receiver() as web:
        assert isinstance(await web.post(f"http://127.0.0.1:{port}/", {}, b"{}"), Unreached)


async def test_nobody_there_is_no_exception() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with receiver() as web:
            assert isinstance(await web.post(f"http://127.0.0.1:{port}/", {}, b"{}"), Unreached)


async def test_what_was_never_opened_is_closed_too() -> None:
    await HttpReceiver(LOOPBACK, timeout_s=1).close()
