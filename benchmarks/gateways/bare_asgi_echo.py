"""The ceiling of bare_durable: the same raw ASGI, validation, and no storage."""

from typing import Final

from benchmarks.gateways.gateway_subject import GatewaySubject

BARE_ASGI_ECHO: Final = GatewaySubject(
    name="bare_asgi_echo",
    does="raw ASGI: POST -> validate -> 202",
    durability="none: nothing is stored",
    command=("{python}", "-m", "benchmarks.gateways.apps.asgi_echo", "--port", "{port}"),
)
