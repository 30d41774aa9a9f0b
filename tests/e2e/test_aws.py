"""`headpond up` on SQS and DynamoDB: every process killed under load, then counted."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headpond.cli.bulk import submit_patiently
from headpond.client import Client
from headpond.domain.job import JobState
from headpond.testing.engine_server import FakeEngine
from tests.e2e.commands import headpond, up
from tests.e2e.family import children
from tests.emulators.moto_server import Moto, moto_process

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

JOBS = 8


@pytest.fixture
async def moto() -> AsyncGenerator[Moto]:
    async with moto_process() as server:
        yield server


@pytest.fixture
async def engine() -> AsyncGenerator[FakeEngine]:
    async with FakeEngine(answer="It works") as engine:
        yield engine


async def test_every_job_ends_once_though_all_are_killed(
    moto: Moto, engine: FakeEngine, tmp_path: Path
) -> None:
    # SPEC Q2 Q3 G7
    places = {
        "HEADPOND_STORE": f"dynamodb://eu-central-1/pond?endpoint={moto.url}",
        "HEADPOND_QUEUE": f"sqs://eu-central-1/pond?endpoint={moto.url}",
    }
    hurry = {
        "HEADPOND_POOLS__default__LEASE_S": "2",
        "HEADPOND_POOLS__default__RETRY__MAX_LOST_LEASES": "100",
        "HEADPOND_REAPER__EVERY_S": "2",
        "HEADPOND_REAPER__ACCEPTED_GRACE_S": "2",
    }
    async with up(tmp_path, "--engine", engine.url, **places, **hurry) as system:
        async with Client(system.url) as client:

            async def submit(number: int) -> str:
                return await submit_patiently(client, {"prompt": f"{number}"}, f"key-{number}")

            early = [await submit(number) for number in range(JOBS // 2)]
            late = [asyncio.create_task(submit(number)) for number in range(JOBS // 2, JOBS)]
            await engine.until(lambda: engine.requests > 0)
            for child in children(system.process.pid):
                child.kill()
            ids = early + [await each for each in late]
            assert [await submit(number) for number in range(JOBS)] == ids
            jobs = [await client.ended(job_id) for job_id in ids]
        assert Counter(job.status for job in jobs) == {JobState.SUCCEEDED: JOBS}
        assert {job.text for job in jobs} == {"It works"}
        assert await system.stop() == 0

    audit = await headpond("audit", "export", HEADPOND_HOME=str(tmp_path), **places)
    audited = [json.loads(line)["job"]["id"] for line in audit.out.splitlines()]
    assert sorted(audited) == sorted(ids)
