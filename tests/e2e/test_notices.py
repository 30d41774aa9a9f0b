"""A worker whose machine is about to be taken away hands back what it has. SPEC W4."""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headpond.adapters.metadata.ecs import URI_VARIABLE
from headpond.domain.job import JobState
from headpond.errors import SettingsError
from headpond.settings import PoolSettings, Settings, WorkerSettings
from headpond.testing.engine_server import FakeEngine, Pace
from headpond.testing.records import a_job, new_job
from headpond.wiring.fleets import name_of_worker, notices_of
from headpond.wiring.stores import open_store
from tests.e2e.commands import environment
from tests.e2e.waiting import until
from tests.emulators.metadata_server import TASK, Metadata
from tests.emulators.serving import served

POOL = PoolSettings(models=("model",))


@pytest.mark.parametrize("draining", [False, True], ids=["at work", "in a drain"])
async def test_a_spot_instance_hands_back_in_time_what_it_cannot_finish(
    tmp_path: Path, *, draining: bool
) -> None:
    metadata = Metadata()
    settings = Settings(home=str(tmp_path), pools={"default": POOL})
    async with (
        FakeEngine(model="model", pace=Pace(decode_s_per_token=3600)) as engine,
        served(metadata.app()) as address,
        open_store(settings) as store,
    ):
        job = a_job(accepted_at=time.time())
        await store.delivery(POOL).submit(new_job(job))
        environ = {
            "HEADPOND_HOME": str(tmp_path),
            "HEADPOND_POOLS__DEFAULT__ENGINE__URL": engine.url,
            "HEADPOND_POOLS__DEFAULT__MODELS": '["model"]',
            "HEADPOND_WORKER__NOTICES": "aws",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": address,
            "ECS_CONTAINER_METADATA_URI_V4": f"{address}/v4",
        }
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headpond", "worker"),
            env=environment(environ),
            stderr=asyncio.subprocess.PIPE,
        )
        running = await until(store, job.id, JobState.RUNNING)
        assert running.worker == TASK
        if draining:
            worker.terminate()
        ends_at = datetime.fromtimestamp(time.time() + 11, UTC)
        metadata.spot_action = {"action": "stop", "time": ends_at.isoformat()}
        _, said = await worker.communicate()
        back = await until(store, job.id, JobState.QUEUED)
    assert worker.returncode == 0
    assert time.time() < ends_at.timestamp()
    assert back.attempts == 0
    assert "EC2 will stop this spot instance in" in said.decode()


async def test_each_cloud_has_its_metadata_service() -> None:
    for name in ("aws", "azure", "gcp"):
        assert notices_of(Settings(worker=WorkerSettings(notices=name)), os.environ) is not None
    assert notices_of(Settings(), os.environ) is None


async def test_outside_of_ecs_no_task_is_asked_for() -> None:
    settings = Settings(worker=WorkerSettings(notices="ecs"))
    assert notices_of(settings, {URI_VARIABLE: "http://169.254.170.2/v4/1"}) is not None
    with pytest.raises(SettingsError, match="no task of ECS, where ECS_CONTAINER_METADATA_URI_V4"):
        notices_of(settings, {})


async def test_a_worker_that_ecs_stops_drains_before_it_gets_a_signal(tmp_path: Path) -> None:
    metadata = Metadata()
    settings = Settings(home=str(tmp_path), pools={"default": POOL})
    async with (
        FakeEngine(model="model", pace=Pace(decode_s_per_token=3600)) as engine,
        served(metadata.app()) as address,
        open_store(settings) as store,
    ):
        job = a_job(accepted_at=time.time())
        await store.delivery(POOL).submit(new_job(job))
        environ = {
            "HEADPOND_HOME": str(tmp_path),
            "HEADPOND_POOLS__DEFAULT__ENGINE__URL": engine.url,
            "HEADPOND_POOLS__DEFAULT__MODELS": '["model"]',
            "HEADPOND_WORKER__NOTICES": "ecs",
            "HEADPOND_WORKER__DRAIN_S": "0.1",
            URI_VARIABLE: f"{address}/v4",
        }
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headpond", "worker"),
            env=environment(environ),
            stderr=asyncio.subprocess.PIPE,
        )
        await until(store, job.id, JobState.RUNNING)
        metadata.desired_status = "STOPPED"
        _, said = await worker.communicate()
        back = await until(store, job.id, JobState.QUEUED)
    assert worker.returncode == 0
    assert back.attempts == 0
    assert "ECS stops this task: draining" in said.decode()


async def test_a_worker_is_named_as_its_fleet_names_it() -> None:
    host = os.uname().nodename
    assert await name_of_worker({}) == f"{host}-{os.getpid()}"
    assert await name_of_worker({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == host
