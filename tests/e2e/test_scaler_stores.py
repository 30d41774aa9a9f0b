"""The scaler on every store, with the queue and the fleet elsewhere: jobs wake workers."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from headpond.adapters.local.clock import SystemClock
from headpond.domain.quote import Backlog
from headpond.domain.scaling.rules import ScalingRules
from headpond.domain.scaling.state import ScalingStep
from headpond.settings import PoolSettings, ScalerSettings, Settings
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job
from headpond.wiring.fleets import Fleets
from headpond.wiring.scalers import open_scalers
from headpond.wiring.stores import Store, open_store
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.ecs_server import Ecs
from tests.emulators.google_emulators import firestore_emulator
from tests.emulators.kubernetes_server import Kubernetes, write_kubeconfig
from tests.emulators.moto_server import credentials, moto_server
from tests.emulators.pubsub_server import pubsub_server
from tests.emulators.servicebus_server import servicebus_server
from tests.emulators.serving import served
from tests.postgres import PostgresServer
from tests.redis_server import Daemon
from tests.unit.domain.scaling.test_protection import busy

JOBS = 3
RULES = ScalingRules(policy="queue-depth", messages_per_worker=2)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop() -> None:  # pyright: ignore[reportUnusedFunction]
    """For all tests: gRPC's thread calls back into loops that are closed by then."""


class Launched:
    """Knows how many processes were asked for; each runs until it is stopped."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.changed = asyncio.Event()

    def __call__(self, pool: str, name: str) -> "Launched.Process":
        self.names.append(f"{pool}: {name}")
        self.changed.set()
        return Launched.Process()

    class Process:
        """One of them."""

        def __init__(self) -> None:
            self._stopped = asyncio.Event()

        async def run(self) -> None:
            await self._stopped.wait()

        async def stop(self) -> None:
            self._stopped.set()


async def jobs_wake_workers(home: Path, store: str, queue: str | None = None) -> None:
    pool = PoolSettings(models=("model",), scaling=RULES)
    settings = Settings(
        home=str(home),
        store=store,
        queue=queue,
        pools={"default": pool},
        scaler=ScalerSettings(every_s=0.05),
    )
    launched = Launched()
    async with open_store(settings) as gateway:
        for _ in range(JOBS):
            await gateway.delivery(pool).submit(new_job(a_job(work_tokens=7)))
        async with open_scalers(settings, launched, cold_start_s=0.0):
            await launched.changed.wait()
            first = await first_step(gateway)
        assert len(launched.names) == 2
        assert (first.before, first.target) == (0, 2)
    # What a gateway has not counted yet it counts when it ends.
    async with open_store(settings) as after:
        assert await after.workload.arrived("default") == Backlog(JOBS, JOBS * 7)
        state = await after.scaling.state("default")
        assert state.memory.target == 2
        assert state.leader is None


async def first_step(store: Store) -> ScalingStep:
    """The oldest decision that is kept; no store tells when there is one."""
    while True:
        if steps := await store.scaling.steps("default", 9):
            return steps[-1]
        await asyncio.sleep(0.01)


async def test_on_sqlite(tmp_path: Path) -> None:
    await jobs_wake_workers(tmp_path, "sqlite:///headpond.db")


async def test_on_sqlite_with_the_queue_in_redis(tmp_path: Path, valkey: Daemon) -> None:
    await jobs_wake_workers(tmp_path, "sqlite:///headpond.db", valkey.url)


@pytest.mark.usefixtures("postgres_database")
async def test_on_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    await jobs_wake_workers(tmp_path, postgres.url)


@pytest.mark.usefixtures("postgres_database")
async def test_on_postgresql_with_the_queue_in_redis(
    tmp_path: Path, postgres: PostgresServer, valkey: Daemon
) -> None:
    await jobs_wake_workers(tmp_path, postgres.url, valkey.url)


async def test_on_dynamodb_with_the_queue_on_sqs(tmp_path: Path) -> None:
    with moto_server() as moto:
        place = f"eu-central-1/pond?endpoint={moto.url}"
        await jobs_wake_workers(tmp_path, f"dynamodb://{place}", f"sqs://{place}")


async def test_on_firestore_with_the_queue_in_pubsub(tmp_path: Path) -> None:
    place = "test-project/pond"
    with firestore_emulator():
        async with pubsub_server(ManualClock()):
            await jobs_wake_workers(tmp_path, f"firestore://{place}", f"pubsub://{place}")


async def test_on_cosmos_db_with_the_queue_in_service_bus(tmp_path: Path) -> None:
    async with cosmos_server(Cosmos()) as cosmos, servicebus_server(SystemClock()) as bus:
        store = f"cosmos://test/pond/store?endpoint={cosmos.url}&key={KEY}"
        await jobs_wake_workers(tmp_path, store, bus.url("pond"))


async def jobs_wake_a_fleet_elsewhere(home: Path, fleet: str) -> None:
    """The scaler asks for workers, and leaves them when it ends."""
    pool = PoolSettings(models=("model",), scaling=RULES, fleet=fleet)
    settings = Settings(
        home=str(home), pools={"default": pool}, scaler=ScalerSettings(every_s=0.05)
    )
    async with open_store(settings) as gateway:
        for _ in range(JOBS):
            await gateway.delivery(pool).submit(new_job(a_job()))
        launched = Launched()
        async with open_scalers(settings, launched, cold_start_s=0.0):
            first = await first_step(gateway)
        assert (first.before, first.target) == (0, 2)
        assert launched.names == []


async def first_patch(cluster: Kubernetes) -> None:
    """No API server tells when a pod was annotated without a watch."""
    while True:
        if cluster.patches:
            return
        await asyncio.sleep(0.01)


async def test_pods_of_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Kubernetes()
    async with served(cluster.app()) as url:
        write_kubeconfig(tmp_path / "kubeconfig", url)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        await jobs_wake_a_fleet_elsewhere(tmp_path, "kubernetes://models/workers")
    assert cluster.replicas == 2


async def test_pods_that_another_scales_are_only_told_who_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cluster = Kubernetes()
    cluster.autoscaled = ["keda-hpa-workers workers"]
    cluster.rescale(2)
    idle, working = cluster.pods
    pool = PoolSettings(
        fleet="kubernetes://models/workers", scaling=ScalingRules(decides="other", max=9)
    )
    settings = Settings(
        home=str(tmp_path), pools={"default": pool}, scaler=ScalerSettings(every_s=0.05)
    )
    async with served(cluster.app()) as url, open_store(settings) as gateway:
        write_kubeconfig(tmp_path / "kubeconfig", url)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        await gateway.delivery(pool).submit(new_job(a_job()))
        now = gateway.clock.now()
        for report in (busy(idle, 0), busy(working, 3)):
            await gateway.roster.report(replace(report, at=now))
        async with open_scalers(settings, Launched(), cold_start_s=0.0):
            await first_patch(cluster)
    assert (cluster.replicas, cluster.patches) == (2, [working])
    assert "another decides how many workers the pool default has" in caplog.text


async def test_tasks_of_ecs_beyond_one_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, ecs = Kubernetes(), Ecs()
    async with served(cluster.app()) as kubernetes, served(ecs.app()) as url:
        write_kubeconfig(tmp_path / "kubeconfig", kubernetes)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        with credentials():
            fleet = f"ecs://eu-central-1/models/workers?endpoint={url}"
            async with AsyncExitStack() as stack:
                pool = PoolSettings(
                    fleet="kubernetes://models/workers",
                    spot_fleet=fleet,
                    scaling=ScalingRules(on_demand=1),
                )
                fleets = Fleets(Settings(), SystemClock(), stack, cold_start_s=0.0)
                mixed = await fleets.of_pool(pool, "w", lambda name: Launched()("w", name))
                await mixed.scale(3, [])
    assert (cluster.replicas, ecs.desired) == (1, 2)
