"""Fleets for random histories."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from headpond.adapters.aws import fleet as ecs_fleet
from headpond.adapters.local.fleet import LocalFleet
from headpond.testing.clocks import ManualClock
from headpond.testing.fleet_histories import FleetHistories
from headpond.testing.fleet_suite import FleetStage
from tests.emulators.ecs_server import Ecs
from tests.emulators.kubernetes_server import Kubernetes
from tests.fleet_stages import Launcher, ecs_stage, kubernetes_stage, on_ecs, on_kubernetes


class ProcessHistories(FleetHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[FleetStage]:
        launch = Launcher()
        fleet = LocalFleet("w", launch, clock)

        async def settled() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        yield FleetStage(fleet, clock, settled, launch.lose)
        await fleet.close()


class PodHistories(FleetHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[FleetStage]:
        cluster = Kubernetes()
        async with on_kubernetes(cluster) as fleet:
            yield kubernetes_stage(fleet, cluster)


class TaskHistories(FleetHistories):
    @override
    @asynccontextmanager
    async def backend(self, clock: ManualClock) -> AsyncGenerator[FleetStage]:
        ecs = Ecs()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ecs_fleet, "ATTEMPTS", 1)  # The SDK would pause for seconds.
            async with on_ecs(ecs) as fleet:
                yield ecs_stage(fleet, ecs)
