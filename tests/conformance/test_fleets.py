"""Fleets keep the contract: processes of this machine, and the machines of a simulation."""

import asyncio
import random

import pytest
from typing_extensions import override

from headpond.adapters.local.fleet import LocalFleet
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.domain.job import Ticket
from headpond.domain.scaling.members import Standing
from headpond.services.broadcast import Broadcast
from headpond.services.mixed_fleet import MixedFleet
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.settings import PoolSettings
from headpond.simulator.engine.profiles import profile
from headpond.simulator.machines import ColdStart, SpotMarket
from headpond.simulator.product.crew import Machines
from headpond.simulator.product.fleet import SimulatedFleet
from headpond.simulator.product.machine import Surroundings
from headpond.testing.fleet_suite import FleetStage, FleetSuite
from headpond.testing.virtual_time import LoopClock, VirtualTimeLoop
from tests.fleet_stages import Launcher


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Draining takes a moment, and a cold start an hour: on virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def settled() -> None:
    await asyncio.sleep(60)


class TestLocalFleet(FleetSuite):
    @pytest.fixture
    @override
    async def stage(self) -> FleetStage:
        launch, clock = Launcher(), LoopClock()
        return FleetStage(LocalFleet("w", launch, clock), clock, settled, launch.lose)


class TestMixedFleet(FleetSuite):
    """Two processes on demand, the rest spot."""

    @pytest.fixture
    @override
    async def stage(self) -> FleetStage:
        base, spot, clock = Launcher(), Launcher(), LoopClock()
        fleet = MixedFleet(
            LocalFleet("base", base, clock), LocalFleet("spot", spot, clock), on_demand=1
        )

        async def lose(name: str) -> None:
            await (spot if name.startswith("spot") else base).lose(name)

        return FleetStage(fleet, clock, settled, lose)

    async def test_who_is_beyond_those_on_demand_is_spot(self, stage: FleetStage) -> None:
        await stage.fleet.scale(3, [])
        assert sorted(await stage.names()) == ["base-1", "spot-1", "spot-2"]
        await stage.fleet.scale(1, ["base-1", "spot-1", "spot-2"])
        assert await stage.names() == ["base-1"]


async def test_one_that_waits_for_its_start_is_never_started() -> None:
    launch = Launcher()
    fleet = LocalFleet("w", launch, LoopClock(), cold_start_s=3_600)
    await fleet.scale(1, [])
    await settled()
    assert [member.standing for member in await fleet.members()] == [Standing.PENDING]
    await fleet.scale(0, [])
    await settled()
    assert await fleet.members() == []
    assert not launch.processes["w-1"].began.is_set()


class Market(SpotMarket, frozen=True):
    """As many machines as the last of `told` says."""

    told: list[int]

    @override
    def at(self, at_s: float) -> int:
        return self.told[-1]


class TestSimulatedFleet(FleetSuite):
    @pytest.fixture
    @override
    async def stage(self) -> FleetStage:
        market = Market(1.0, (), [100])
        clock = LoopClock()
        machines = Machines(
            _surroundings(clock),
            ColdStart(median_s=0.0),
            dice=random.Random(1),
            market=market,
        )
        fleet = SimulatedFleet(machines)

        async def lose(name: str) -> None:
            # The cloud takes the last one.
            assert machines.members()[-1].name == name
            market.told.append(len(await fleet.members()) - 1)
            machines.check_market()
            market.told.append(100)

        return FleetStage(fleet, clock, settled, lose)


def _surroundings(clock: LoopClock) -> Surroundings:
    jobs, queue = MemoryJobStore(clock), MemoryQueue(clock)
    return Surroundings(
        delivery=TwoStepDelivery(
            jobs,
            queue,
            clock=clock,
            new_ticket=lambda: Ticket("ticket"),
            lease_s=60.0,
            max_lost_leases=1,
        ),
        streams=MemoryTokenStreams(jobs),
        roster=MemoryRoster(),
        settings=PoolSettings(models=("model",)),
        model=profile("L4/awq").engine,
        clock=clock,
        listener=Broadcast(()),
        chance=random.Random(1).random,
        epoch=1_000_000.0,
    )
