"""Headpond's own gateway process, with everything on that it has by default."""

from typing import Final

from benchmarks.gateways.gateway_subject import GatewaySubject
from benchmarks.harness.environments import HEADPOND

HEADPOND_GATEWAY: Final = GatewaySubject(
    name="headpond",
    does="POST -> authenticate -> validate -> limits -> durable and queued -> metrics -> 202",
    durability="SQLite, write-ahead log, synchronous=FULL: survives a power cut",
    command=("{python}", "-m", "headpond", "gateway", "--port", "{port}"),
    variables=(
        ("HEADPOND_HOME", "{directory}"),
        ("HEADPOND_LOG__LEVEL", "warning"),
        ("HEADPOND_POOLS", "{{default: {{models: [llama3-8b]}}}}"),
    ),
    health_path="/readyz",
    environment=HEADPOND,
)
