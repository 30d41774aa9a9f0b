"""`headpond up` on stores and queues elsewhere: every process killed under load, then counted."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from headpond.cli.bulk import submit_patiently
from headpond.client import Client
from headpond.domain.job import JobState
from headpond.testing.engine_server import FakeEngine
from tests.e2e.commands import headpond, up
from tests.e2e.family import children

JOBS = 8


async def every_job_ends_once(places: Mapping[str, str], home: Path) -> None:
    """SPEC Q2 Q3 G7. `places` are the variables that name store and queue."""
    hurry = {
        "HEADPOND_POOLS__default__LEASE_S": "2",
        "HEADPOND_POOLS__default__RETRY__MAX_LOST_LEASES": "100",
        "HEADPOND_REAPER__EVERY_S": "2",
        "HEADPOND_REAPER__ACCEPTED_GRACE_S": "2",
    }
    async with (
        FakeEngine(answer="It works") as engine,
        up(home, "--engine", engine.url, **places, **hurry) as system,
    ):
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

    audit = await headpond("audit", "export", HEADPOND_HOME=str(home), **places)
    audited = [json.loads(line)["job"]["id"] for line in audit.out.splitlines()]
    assert sorted(audited) == sorted(ids)
