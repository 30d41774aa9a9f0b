"""A ceiling: Starlette, validation, and no storage."""

from typing import Final

from benchmarks.gateways.gateway_subject import GatewaySubject

BARE_STARLETTE_ECHO: Final = GatewaySubject(
    name="bare_starlette_echo",
    does="Starlette: POST -> validate -> 202",
    durability="none: nothing is stored",
    command=("{python}", "-m", "benchmarks.gateways.apps.starlette_echo", "--port", "{port}"),
)
