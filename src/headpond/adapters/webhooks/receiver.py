"""Webhooks over HTTP.

The address rule is asked by the function that makes the socket, with the address that the socket
is then connected to: between check and connection there is nothing left to change. Each attempt
resolves anew and has a connection of its own. Of the answer the status and the headers are read,
within the HTTP client's limits, and nothing of the body.
"""

import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from typing_extensions import override

from headpond.domain.dispatch import Reaction, Replied, Unreached
from headpond.domain.public_address import AddressRule
from headpond.domain.retry_after import retry_after_s
from headpond.ports.receiver import Receiver

USER_AGENT = "Headpond-Webhooks/1"

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As `getaddrinfo` gives it; the last of it is the address itself."""

MAX_CONNECTIONS = 512
MAX_REASON_CHARS = 300


class HttpReceiver(Receiver):
    """Connects to what `rule` allows. `resolver` is the system's if None."""

    def __init__(
        self, rule: AddressRule, *, timeout_s: float, resolver: AbstractResolver | None = None
    ) -> None:
        self._rule = rule
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        try:
            async with self._connected().post(
                url,
                data=body,
                headers={"content-type": "application/json", **headers},
                allow_redirects=False,
            ) as answer:
                wished_s = retry_after_s(
                    answer.headers.get("Retry-After", ""), answer.headers.get("Date", "")
                )
                # Unread, so that the connection is cut: nobody waits for a body without end.
                answer.close()
                return Replied(answer.status, wished_s)
        except TimeoutError:
            return Unreached(f"No answer within {self._timeout_s:g} seconds.")
        except aiohttp.ClientConnectorError as error:
            return _unreached(error.os_error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unreached(error)

    @override
    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        """The session, made within the running loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                socket_factory=self._socket,
                force_close=True,
                limit=MAX_CONNECTIONS,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,  # a proxy would connect in our stead, unchecked
                headers={"user-agent": USER_AGENT},
            )
        return self._session

    def _socket(self, info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        fault = self._rule.address_fault(str(address[0]))
        if fault is not None:
            raise PermissionError(fault)
        return socket.socket(family, kind, protocol)


def _unreached(error: Exception) -> Unreached:
    reason = str(error) or type(error).__name__
    return Unreached(reason[:MAX_REASON_CHARS])
