"""One poison among 64, an engine that really dies of it, and nobody else pays. SPEC W5 B3."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headpond.adapters.openai.engine import OpenAIEngine
from headpond.domain.facts import EngineFailed
from headpond.domain.job import Job, JobState
from headpond.domain.retry import RetryPolicy
from headpond.ports.delivery import Delivery
from headpond.ports.jobs import JobStore, NewJob
from headpond.settings import EngineSettings, PoolSettings, Settings
from headpond.testing.records import a_job
from headpond.wiring.stores import open_store
from tests.chaos.processes import Part, free_port
from tests.unit.services.pond import Pond

REQUESTS = 64
POISONED = 41
RETRY = RetryPolicy(first_delay_s=0.05, max_delay_s=0.2)


class MortalEngine:
    """The fake engine as a process, started again whenever it dies. `deaths` counts SIGKILLs."""

    def __init__(self) -> None:
        self.port = free_port()
        self.deaths = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self) -> None:
        module = ["-m", "headpond.testing.engine_server", "--port", str(self.port)]
        pace = ["--decode-ms", "100", "--slots", str(REQUESTS)]
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(*module, *pace, "--model", "model", "--deadly", "POISON"),
                stdout=asyncio.subprocess.DEVNULL,
            )
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
            assert status == -signal.SIGKILL
            self.deaths += 1


async def submit(delivery: Delivery) -> list[Job]:
    """The jobs, one of them poisoned."""
    words = ["fine"] * REQUESTS
    words[POISONED] = "POISON"
    return [
        (
            await delivery.submit(
                NewJob(a_job(), b'{"messages":[{"role":"user","content":"%b"}]}' % word.encode())
            )
        ).job
        for word in words
    ]


async def ended(store: JobStore, jobs: list[Job]) -> list[Job]:
    """The records, once all have ended."""
    records: list[Job] = []
    for job in jobs:
        record = job
        while not record.state.terminal:
            record = await store.wait_for_change(job.id, record.version, 60) or record
        records.append(record)
    return records


def check(jobs: list[Job], engine: MortalEngine) -> None:
    """The bar: 63 succeed uncharged, the culprit is buried, the engine died 7 times."""
    culprit = jobs.pop(POISONED)
    assert {(job.state, job.attempts, job.lost_leases) for job in jobs} == {
        (JobState.SUCCEEDED, 1, 0)
    }
    assert culprit.state is JobState.DEAD
    assert culprit.error is not None
    assert culprit.error.code == "engine_died"
    assert "once alone" in culprit.error.message
    assert engine.deaths <= 7


def settings_of(engine: MortalEngine) -> PoolSettings:
    """A pool that has all requests in flight at once."""
    return PoolSettings(
        engine=EngineSettings(url=engine.url),
        models=("model",),
        max_in_flight=REQUESTS,
        retry=RETRY,
    )


@pytest.mark.timeout(180)
async def test_a_worker_process_on_sqlite_finds_the_poison(tmp_path: Path) -> None:
    engine = MortalEngine()
    pool = settings_of(engine)
    config = tmp_path / "headpond.yaml"
    config.write_text(
        f"home: {tmp_path}\n"
        "pools:\n"
        "  default:\n"
        f"    engine: {{url: '{engine.url}'}}\n"
        "    models: [model]\n"
        f"    max_in_flight: {REQUESTS}\n"
        f"    retry: {{first_delay_s: {RETRY.first_delay_s}, max_delay_s: {RETRY.max_delay_s}}}\n"
    )
    worker = Part("worker", ["headpond", "worker", "--config", str(config)], tmp_path / "log")
    async with open_store(Settings(home=str(tmp_path))) as store, engine.living():
        jobs = await submit(store.delivery(pool))
        worker.start()
        try:
            check(await ended(store.jobs, jobs), engine)
        finally:
            await asyncio.to_thread(worker.end)
    assert "job convicted" in (tmp_path / "log").read_text()


@pytest.mark.timeout(180)
async def test_two_steps_in_memory_find_the_poison() -> None:
    engine = MortalEngine()
    pond = Pond(settings_of(engine))
    client = OpenAIEngine("mortal", engine.url, max_connections=REQUESTS)
    jobs = await submit(pond.delivery)
    async with engine.living(), pond.working(client):
        check(await ended(pond.jobs, jobs), engine)
    await client.close()
    assert pond.ear.heard(EngineFailed)[0].in_flight > REQUESTS / 2  # some may come too late
