"""Fleets by their names, and what a machine knows of itself."""

import os
import platform
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.local.fleet import LocalFleet, Process
from headpond.adapters.metadata import google, service
from headpond.adapters.metadata.azure import ScheduledEvents
from headpond.adapters.metadata.ec2 import SpotNotices
from headpond.adapters.metadata.ecs import URI_VARIABLE, TaskState, task_id
from headpond.errors import SettingsError
from headpond.ports.clock import Clock
from headpond.ports.fleet import Fleet, Ranked
from headpond.ports.notices import Notices
from headpond.services.mixed_fleet import MixedFleet
from headpond.settings import PoolSettings, Settings
from headpond.wiring.extras import require_for

if TYPE_CHECKING:
    from headpond.adapters.kubernetes.cluster import Cluster, Deployment

Launch = Callable[[str], Process]
"""The process of a worker that reports under a name."""


class Fleets:
    """Opens fleets, for as long as `stack` lives."""

    def __init__(
        self, settings: Settings, clock: Clock, stack: AsyncExitStack, *, cold_start_s: float
    ) -> None:
        """`cold_start_s` is waited before each start of a process on this machine."""
        self._drain_s = settings.worker.drain_s
        self._clock = clock
        self._stack = stack
        self._cold_start_s = cold_start_s

    async def of_pool(self, pool: PoolSettings, prefix: str, launch: Launch) -> Fleet:
        """The pool's. Raises SettingsError, MissingExtra, Unavailable."""
        base = await self._named(pool.fleet, prefix, launch)
        if pool.spot_fleet is None:
            return base
        spot = await self._named(pool.spot_fleet, f"{prefix}-spot", launch)
        return MixedFleet(base, spot, on_demand=pool.scaling.on_demand)

    async def ranked(self, pool: PoolSettings) -> list[Ranked]:
        """The pool's Deployments, whoever scales them. Raises like `of_pool`."""
        urls = [url for url in (pool.fleet, pool.spot_fleet) if url is not None]
        return [await self._pods(url) for url in urls]

    async def _named(self, url: str, prefix: str, launch: Launch) -> Fleet:
        require_for(url)
        parts = urlsplit(url)
        match parts.scheme:
            case "kubernetes":
                return await self._kubernetes(url)
            case "ecs":
                cluster, _, service = parts.path.strip("/").partition("/")
                endpoint = parse_qs(parts.query).get("endpoint", [None])[0]
                return await self._ecs(parts.netloc, cluster, service, endpoint)
            case _:
                return LocalFleet(prefix, launch, self._clock, cold_start_s=self._cold_start_s)

    async def _kubernetes(self, url: str) -> Fleet:
        from headpond.adapters.kubernetes.fleet import KubernetesFleet

        fleet = KubernetesFleet(*await self._deployment(url))
        await fleet.begin(self._drain_s)
        return fleet

    async def _pods(self, url: str) -> Ranked:
        require_for(url)
        from headpond.adapters.kubernetes.pods import Pods

        pods = Pods(*await self._deployment(url))
        await pods.begin(self._drain_s)
        return pods

    async def _deployment(self, url: str) -> "tuple[Cluster, Deployment]":
        from headpond.adapters.kubernetes.cluster import Deployment, open_cluster

        parts = urlsplit(url)
        deployment = Deployment(parts.netloc, parts.path.strip("/"))
        return await self._stack.enter_async_context(open_cluster(deployment)), deployment

    async def _ecs(self, region: str, cluster: str, name: str, endpoint: str | None) -> Fleet:
        from headpond.adapters.aws.fleet import EcsFleet, EcsService, open_ecs

        service = EcsService(region, cluster, name, endpoint)
        fleet = EcsFleet(await self._stack.enter_async_context(open_ecs(service)), service)
        await fleet.begin(self._drain_s)
        return fleet


def notices_of(settings: Settings, environ: Mapping[str, str]) -> Notices | None:
    """Where this machine is told that it goes. The clouds' own variables name other addresses.

    Raises SettingsError.
    """
    clock = SystemClock()
    match settings.worker.notices:
        case "none":
            return None
        case "aws":
            address = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.ADDRESS)
            return SpotNotices(clock, address)
        case "azure":
            return ScheduledEvents(clock)
        case "gcp":
            host = environ.get("GCE_METADATA_HOST", google.HOST)
            return google.Preemption(f"http://{host}")
        case "ecs":
            if URI_VARIABLE not in environ:
                raise SettingsError(
                    f"worker.notices: this is no task of ECS, where {URI_VARIABLE} is set."
                )
            return TaskState(environ[URI_VARIABLE])


async def name_of_worker(environ: Mapping[str, str]) -> str:
    """What the fleet knows this worker by. Raises Unavailable.

    In a task of ECS its id; in a pod its name, which is the host's; else the host and the process.
    """
    if URI_VARIABLE in environ:
        return await task_id(environ[URI_VARIABLE])
    if "KUBERNETES_SERVICE_HOST" in environ:
        return platform.node()
    return f"{platform.node()}-{os.getpid()}"
