"""Where a namespace of Service Bus is, and who we are there.

By default that is found by `DefaultAzureCredential`: environment, workload identity, the managed
identity of the machine or the pod. A key of the namespace is named in the URL instead.
`SSL_CERT_FILE` names other authorities to trust than those that the SDK brings.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
from azure.identity.aio import DefaultAzureCredential
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.aio.management import ServiceBusAdministrationClient

from headpond.errors import SettingsError

CALL_S = 10.0
"""For each call: who calls comes again."""


class Place(msgspec.Struct, frozen=True):
    """`key` is `NAME:KEY`, empty for who we are by default.

    `emulator` is where one is administered, which at `namespace` speaks AMQP without TLS.
    """

    namespace: str
    prefix: str
    key: str = ""
    emulator: str = ""


class Namespace(msgspec.Struct, frozen=True):
    """The clients of one."""

    messages: ServiceBusClient
    administration: ServiceBusAdministrationClient


def place_of(url: str) -> Place:
    """The place that `servicebus://NAME:KEY@NAMESPACE/PREFIX?emulator=HOST:PORT` names.

    Keys have `/` and `+` in them. Raises ValueError.
    """
    key, _, rest = url.partition("://")[2].rpartition("@")
    at, _, query = rest.partition("?")
    namespace, _, prefix = at.partition("/")
    what, _, emulator = query.partition("=")
    if not namespace or not prefix or "/" in prefix or what not in {"", "emulator"}:
        message = f"{rest!r} is not of the form NAMESPACE/PREFIX"
        raise ValueError(message)
    return Place(namespace, prefix, unquote(key), emulator)


@asynccontextmanager
async def open_namespace(place: Place) -> AsyncGenerator[Namespace]:
    """Clients that try nothing again by themselves. Raises SettingsError."""
    async with AsyncExitStack() as opened:
        try:
            namespace = await _clients(place, opened)
        except ValueError as error:
            raise SettingsError(
                f"queue: Service Bus cannot be used ({error}): correct what the URL has of "
                "servicebus://NAME:KEY@NAMESPACE/PREFIX?emulator=HOST:PORT."
            ) from error
        await opened.enter_async_context(namespace.messages)
        await opened.enter_async_context(namespace.administration)
        yield namespace


async def _clients(place: Place, opened: AsyncExitStack) -> Namespace:
    once: dict[str, Any] = {"retry_total": 0}
    if trusted := os.environ.get("SSL_CERT_FILE"):
        once["connection_verify"] = trusted
    messages: dict[str, Any] = {**once, "try_timeout": CALL_S}
    http: dict[str, Any] = {**once, "connection_timeout": CALL_S, "read_timeout": CALL_S}
    if place.key:
        return Namespace(
            ServiceBusClient.from_connection_string(
                _connection(place, place.namespace), **messages
            ),
            ServiceBusAdministrationClient.from_connection_string(
                _connection(place, place.emulator or place.namespace), **http
            ),
        )
    credential = await opened.enter_async_context(DefaultAzureCredential())
    return Namespace(
        ServiceBusClient(place.namespace, credential, **messages),
        ServiceBusAdministrationClient(place.namespace, credential, **http),
    )


def _connection(place: Place, host: str) -> str:
    """A connection string, as the SDK wants a key."""
    name, _, key = place.key.partition(":")
    words = f"Endpoint=sb://{host};SharedAccessKeyName={name};SharedAccessKey={key}"
    return f"{words};UseDevelopmentEmulator=true" if place.emulator else words
