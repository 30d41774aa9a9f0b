"""`headpond up` on Firestore, with the queue in Redis, as in Memorystore, and in Pub/Sub."""

import sys
from pathlib import Path

import pytest

from tests.e2e.killing import every_job_ends_once
from tests.emulators.google_emulators import firestore_emulator, pubsub_emulator
from tests.redis_server import Daemon

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


async def test_every_job_ends_once_though_all_are_killed_on_redis(
    tmp_path: Path, valkey: Daemon
) -> None:
    with firestore_emulator():
        places = {
            "HEADPOND_STORE": "firestore://test-project/pond",
            "HEADPOND_QUEUE": valkey.url,
            "HEADPOND_STREAMS": valkey.url,
        }
        await every_job_ends_once(places, tmp_path)


async def test_on_pubsub_every_job_ends_once_though_all_are_killed(tmp_path: Path) -> None:
    with firestore_emulator(), pubsub_emulator():
        place = "test-project/pond"
        places = {"HEADPOND_STORE": f"firestore://{place}", "HEADPOND_QUEUE": f"pubsub://{place}"}
        await every_job_ends_once(places, tmp_path)
