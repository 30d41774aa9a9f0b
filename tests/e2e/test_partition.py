"""A host that the others cannot reach: what it ran is run elsewhere, its own result comes late."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from headpond.adapters.postgres.database import Database
from headpond.domain.job import JobState
from headpond.ports.audit import AuditQuery
from headpond.settings import PoolSettings, Settings
from headpond.testing.engine_server import FakeEngine
from headpond.testing.records import a_job, new_job
from headpond.wiring.stores import open_store
from tests.e2e.commands import environment
from tests.e2e.other_host import NoOtherHostError, OtherHost, other_host
from tests.e2e.waiting import until
from tests.postgres import PostgresServer

LEASE_S = 2.0
SLOW_S = 3.0
"""A token of the engine there; its answer has two, and so outlasts the lease."""

ENGINE = f"""
import asyncio
from headpond.testing.engine_server import FakeEngine, Pace

async def main():
    pace = Pace(decode_s_per_token={SLOW_S})
    async with FakeEngine(answer="from there", pace=pace, port=8000):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def other() -> AsyncGenerator[OtherHost]:
    async with AsyncExitStack() as opened:
        try:
            host = await opened.enter_async_context(other_host())
        except NoOtherHostError as error:
            pytest.skip(f"a partition is untested: {error}")
        yield host


@asynccontextmanager
async def running(*command: str, **variables: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process that is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(variables),
    )
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


async def test_a_worker_that_was_cut_off_changes_nothing_when_it_is_back(
    other: OtherHost, postgres_database: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    del postgres_database  # emptied
    pool = PoolSettings(models=("fake",), lease_s=LEASE_S)
    settings = Settings(home=str(tmp_path), store=postgres.url, pools={"default": pool})
    variables = {
        "HEADPOND_STORE": postgres.url,
        "HEADPOND_POOLS__default__LEASE_S": str(LEASE_S),
        "HEADPOND_POOLS__default__MODELS": '["fake"]',
    }
    python = other.command(sys.executable)
    url = "HEADPOND_POOLS__default__ENGINE__URL"
    async with (
        FakeEngine(answer="from here") as engine,
        other.reaching(variables) as reached,
        open_store(settings) as store,
        running(*python, "-c", ENGINE),
        running(
            *(*python, "-m", "headpond", "worker"),
            **{**reached, "HEADPOND_HOME": str(tmp_path / "there"), url: "http://127.0.0.1:8000"},
        ) as there,
    ):
        job = a_job(accepted_at=time.time(), model="fake")
        await store.delivery(pool).submit(new_job(job))
        await until(store, job.id, JobState.RUNNING)
        other.cut()
        async with running(
            *(sys.executable, "-m", "headpond", "worker"),
            **{**variables, "HEADPOND_HOME": str(tmp_path / "here"), url: engine.url},
        ):
            ended = await until(store, job.id, JobState.SUCCEEDED)
        await asyncio.sleep(2 * SLOW_S)
        other.mend()
        assert there.stderr is not None
        async for line in there.stderr:
            if b"claim lost" in line:
                break
        assert await store.jobs.get(job.id) == ended
        bodies = await store.jobs.bodies(job.id)
        assert bodies is not None
        assert b"from here" in (bodies.response or b"")
        assert [job async for job in store.audit.jobs(AuditQuery())] == [ended]
