"""Headpond's own gateway: the place for the command line that starts it."""

from typing import Final

from benchmarks.gateways.gateway_subject import GatewaySubject
from benchmarks.harness.environments import HEADPOND

HEADPOND_GATEWAY: Final = GatewaySubject(
    name="headpond",
    does="POST -> validate -> durable -> 202",
    durability="SQLite, write-ahead log, synchronous=FULL: survives a power cut",
    command=("{python}", "-m", "headpond", "--port", "{port}", "--directory", "{directory}"),
    health_path="/health",
    environment=HEADPOND,
    cannot_run="the gateway is not in this tree yet",
)
