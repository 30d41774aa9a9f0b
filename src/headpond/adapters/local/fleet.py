"""A fleet of processes on this machine.

A process that ends by itself is gone: it was interrupted, or it died, and the next call of `scale`
starts another. Draining is a request to end, which a worker follows when its work is done.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from typing_extensions import override

from headpond.domain.scaling.members import Member, Standing
from headpond.ports.clock import Clock
from headpond.ports.fleet import Fleet


class Process(Protocol):
    """A worker's process, as whoever can start one describes it."""

    async def run(self) -> object:
        """Start it, and return when it has ended."""
        ...

    async def stop(self) -> None:
        """Ask it to drain and end; returns when it has."""
        ...


@dataclass
class Place:
    """A member with its process, and the task that stops it once it drains."""

    name: str
    asked_at: float
    process: Process
    running: asyncio.Task[None] | None = None
    begun: bool = False
    stopping: asyncio.Task[None] | None = None


class LocalFleet(Fleet):
    """`launch` makes the process of a worker that reports under that name; it starts nothing.

    `cold_start_s` is a pause before each start, for trials: what a machine would take to come.
    """

    def __init__(
        self,
        prefix: str,
        launch: Callable[[str], Process],
        clock: Clock,
        *,
        cold_start_s: float = 0.0,
    ) -> None:
        self._prefix = prefix
        self._launch = launch
        self._clock = clock
        self._cold_start_s = cold_start_s
        self._places: dict[str, Place] = {}
        self._numbers = count(1)

    @override
    async def members(self) -> list[Member]:
        return [_member(place) for place in self._places.values()]

    @override
    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        staying = [place for place in self._places.values() if place.stopping is None]
        for _ in range(target - len(staying)):
            self._start()
        excess = len(staying) - target
        if excess > 0:
            rank = {name: number for number, name in enumerate(first_to_go)}
            staying.sort(key=lambda place: rank.get(place.name, len(rank)))
            for place in staying[:excess]:
                self._drain(place)

    @override
    async def close(self) -> None:
        places = list(self._places.values())
        for place in places:
            if place.stopping is None:
                self._drain(place)
        tasks = [task for place in places for task in (place.running, place.stopping) if task]
        if tasks:
            await asyncio.wait(tasks)

    def _start(self) -> None:
        name = f"{self._prefix}-{next(self._numbers)}"
        place = Place(name, self._clock.now(), self._launch(name))
        self._places[name] = place
        place.running = asyncio.create_task(self._run(place), name=name)

    def _drain(self, place: Place) -> None:
        place.stopping = asyncio.create_task(self._stop(place), name=f"drain {place.name}")

    async def _run(self, place: Place) -> None:
        try:
            await asyncio.sleep(self._cold_start_s)
            if place.stopping is None:
                place.begun = True
                await place.process.run()
        finally:
            del self._places[place.name]

    async def _stop(self, place: Place) -> None:
        if place.begun:
            await place.process.stop()
        elif place.running is not None:
            place.running.cancel()


def _member(place: Place) -> Member:
    standing = Standing.READY if place.begun else Standing.PENDING
    return Member(place.name, place.asked_at, place.stopping is not None, standing)
