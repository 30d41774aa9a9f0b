"""The least a durable gateway has to do: validate, commit to SQLite in groups, answer 202."""

from typing import Final

from benchmarks.gateways.gateway_subject import GatewaySubject

BARE_DURABLE: Final = GatewaySubject(
    name="bare_durable",
    does="raw ASGI: POST -> validate -> group-committed insert -> 202",
    durability="SQLite, write-ahead log, synchronous=FULL: survives a power cut",
    command=(
        *("{python}", "-m", "benchmarks.gateways.apps.durable"),
        *("--port", "{port}", "--directory", "{directory}"),
    ),
)
