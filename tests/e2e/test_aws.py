"""`headpond up` on SQS and DynamoDB."""

import sys
from pathlib import Path

import pytest

from tests.e2e.killing import every_job_ends_once
from tests.emulators.moto_server import moto_process

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


async def test_every_job_ends_once_though_all_are_killed(tmp_path: Path) -> None:
    async with moto_process() as moto:
        place = f"eu-central-1/pond?endpoint={moto.url}"
        places = {"HEADPOND_STORE": f"dynamodb://{place}", "HEADPOND_QUEUE": f"sqs://{place}"}
        await every_job_ends_once(places, tmp_path)
