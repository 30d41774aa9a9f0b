"""The load generator's own limit: a server that answers fixed bytes without reading them."""

from typing import Final

from benchmarks.gateways.gateway_subject import GatewaySubject

LOAD_GENERATOR_LIMIT: Final = GatewaySubject(
    name="load_generator_limit",
    does="raw socket: fixed 202; nothing else here can be faster",
    durability="none: nothing is stored",
    command=("{python}", "-m", "benchmarks.gateways.apps.fixed_answer", "--port", "{port}"),
)
