"""`headpond up` on Cosmos DB, with the queue in Service Bus."""

import sys
from pathlib import Path

import pytest

from headpond.adapters.local.clock import SystemClock
from tests.e2e.killing import every_job_ends_once
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.servicebus_server import servicebus_server

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


async def test_every_job_ends_once_though_all_are_killed(tmp_path: Path) -> None:
    async with cosmos_server(Cosmos()) as cosmos, servicebus_server(SystemClock()) as bus:
        places = {
            "HEADPOND_STORE": f"cosmos://test/pond/store?endpoint={cosmos.url}&key={KEY}",
            "HEADPOND_QUEUE": bus.url("pond"),
        }
        await every_job_ends_once(places, tmp_path)
