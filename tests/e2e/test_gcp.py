"""`headpond up` on Firestore, with the queue in Redis, as Google's Memorystore has it."""

import sys
from pathlib import Path

import pytest

from tests.e2e.killing import every_job_ends_once
from tests.emulators.google_emulators import firestore_emulator
from tests.redis_server import Valkey

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


async def test_every_job_ends_once_though_all_are_killed(tmp_path: Path, valkey: Valkey) -> None:
    with firestore_emulator():
        places = {
            "HEADPOND_STORE": "firestore://test-project/pond",
            "HEADPOND_QUEUE": valkey.url,
            "HEADPOND_STREAMS": valkey.url,
        }
        await every_job_ends_once(places, tmp_path)
