"""Headpond's own gateway process: with a key and rate limits, and as it runs on a laptop."""

from dataclasses import replace
from typing import Final

from benchmarks.gateways.gateway_subject import JOB_REQUEST, GatewaySubject
from benchmarks.harness.environments import HEADPOND

HEADPOND_GATEWAY: Final = GatewaySubject(
    name="headpond",
    does="POST -> API key -> checks -> rate limits -> durable and queued -> metrics -> 202",
    durability="SQLite, write-ahead log, synchronous=FULL: survives a power cut",
    command=("{python}", "-m", "benchmarks.gateways.apps.headpond_launcher", "--key", "hp_{key}"),
    variables=(
        ("HEADPOND_HOME", "{directory}"),
        ("HEADPOND_GATEWAY__PORT", "{port}"),
        ("HEADPOND_LOG__LEVEL", "warning"),
        ("HEADPOND_POOLS", "{{default: {{models: [llama3-8b]}}}}"),
    ),
    request=replace(JOB_REQUEST, headers=("authorization: Bearer hp_{key}",)),
    health_path="/readyz",
    environment=HEADPOND,
)

HEADPOND_KEYLESS: Final = replace(
    HEADPOND_GATEWAY,
    name="headpond/keyless",
    does="POST -> checks -> durable and queued -> metrics -> 202",
    command=("{python}", "-m", "headpond", "gateway"),
    request=JOB_REQUEST,
)
