"""Fleets with what they scale: processes that are told, pods and tasks on servers of ours."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headpond.adapters.aws.fleet import EcsFleet, EcsService, open_ecs
from headpond.adapters.kubernetes.cluster import Cluster, Deployment, open_cluster
from headpond.adapters.kubernetes.fleet import KubernetesFleet
from headpond.adapters.kubernetes.pods import Pods
from headpond.adapters.local.clock import SystemClock
from headpond.testing.fleet_suite import FleetStage
from tests.emulators import ecs_server, kubernetes_server
from tests.emulators.ecs_server import Ecs
from tests.emulators.kubernetes_server import Kubernetes, write_kubeconfig
from tests.emulators.moto_server import credentials
from tests.emulators.serving import served

WORKERS = Deployment(kubernetes_server.NAMESPACE, kubernetes_server.NAME)


class Told:
    """A process that runs until it is stopped, or `dies` is set."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.dies = asyncio.Event()

    async def run(self) -> None:
        self.began.set()
        await self.dies.wait()

    async def stop(self) -> None:
        self.dies.set()


class Launcher:
    """Knows the processes that it made by their names."""

    def __init__(self) -> None:
        self.processes: dict[str, Told] = {}

    def __call__(self, name: str) -> Told:
        return self.processes.setdefault(name, Told())

    async def lose(self, name: str) -> None:
        self.processes[name].dies.set()


@asynccontextmanager
async def on_kubernetes(cluster: Kubernetes) -> AsyncGenerator[KubernetesFleet]:
    """The Deployment's pods, ours to scale. Sets `KUBECONFIG`."""
    async with in_reach(cluster) as opened:
        fleet = KubernetesFleet(opened, WORKERS)
        await fleet.begin(drain_s=25)
        yield fleet


@asynccontextmanager
async def scaled_by_another(cluster: Kubernetes) -> AsyncGenerator[Pods]:
    """The Deployment's pods, not ours to scale. Sets `KUBECONFIG`."""
    async with in_reach(cluster) as opened:
        pods = Pods(opened, WORKERS)
        await pods.begin(drain_s=25)
        yield pods


@asynccontextmanager
async def in_reach(cluster: Kubernetes) -> AsyncGenerator[Cluster]:
    """The API server, for the Deployment. Sets `KUBECONFIG`."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        kubeconfig = Path(folder) / "kubeconfig"
        patch.setenv("KUBECONFIG", str(kubeconfig))
        async with served(cluster.app()) as url:
            write_kubeconfig(kubeconfig, url)
            async with open_cluster(WORKERS) as opened:
                yield opened


def kubernetes_stage(fleet: KubernetesFleet, cluster: Kubernetes) -> FleetStage:
    async def settled() -> None:
        cluster.settle()

    async def lose(name: str) -> None:
        cluster.lose(name)

    return FleetStage(fleet, SystemClock(), settled, lose, stays=True, trouble=cluster.trouble)


@asynccontextmanager
async def on_ecs(ecs: Ecs) -> AsyncGenerator[EcsFleet]:
    """The service's tasks."""
    async with served(ecs.app()) as url:
        service = EcsService(ecs_server.REGION, ecs_server.CLUSTER, ecs_server.NAME, url)
        with credentials():
            async with open_ecs(service) as opened:
                fleet = EcsFleet(opened, service)
                await fleet.begin(drain_s=25)
                yield fleet


def ecs_stage(fleet: EcsFleet, ecs: Ecs) -> FleetStage:
    async def settled() -> None:
        ecs.settle()
        ecs.protected.clear()  # as after two minutes

    async def lose(name: str) -> None:
        ecs.lose(ecs_server.ARN + name)

    return FleetStage(fleet, SystemClock(), settled, lose, stays=True, trouble=ecs.trouble)
