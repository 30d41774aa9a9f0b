"""A fleet of processes, with processes that are only told to be."""

import asyncio

from headpond.adapters.local.fleet import LocalFleet
from headpond.testing.clocks import ManualClock


class Told:
    """Runs until it is stopped, or `dies` is set."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.dies = asyncio.Event()

    async def run(self) -> None:
        self.began.set()
        await self.dies.wait()

    async def stop(self) -> None:
        self.dies.set()


class Stage:
    def __init__(self, cold_start_s: float = 0.0) -> None:
        self.processes: dict[str, Told] = {}
        self.fleet = LocalFleet("w", self.launch, ManualClock(), cold_start_s=cold_start_s)

    def launch(self, name: str) -> Told:
        self.processes[name] = Told()
        return self.processes[name]

    async def names(self) -> list[str]:
        return [member.name for member in await self.fleet.members()]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_named_first_go_first_and_drain_until_they_end() -> None:
    stage = Stage()
    await stage.fleet.scale(3, [])
    await settled()
    await stage.fleet.scale(2, ["w-2"])
    assert [m.name for m in await stage.fleet.members() if m.draining] == ["w-2"]
    await settled()
    assert await stage.names() == ["w-1", "w-3"]
    await stage.fleet.close()
    await stage.fleet.close()
    assert await stage.names() == []


async def test_one_that_ends_by_itself_is_replaced_with_the_next_call() -> None:
    stage = Stage()
    await stage.fleet.scale(1, [])
    await settled()
    stage.processes["w-1"].dies.set()
    await settled()
    assert await stage.names() == []
    await stage.fleet.scale(1, [])
    assert await stage.names() == ["w-2"]
    await stage.fleet.close()


async def test_one_that_waits_for_its_start_is_never_started() -> None:
    stage = Stage(cold_start_s=3_600)
    await stage.fleet.scale(1, [])
    await settled()
    await stage.fleet.scale(0, [])
    await settled()
    assert await stage.names() == []
    assert not stage.processes["w-1"].began.is_set()
