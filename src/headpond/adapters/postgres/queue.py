"""The queue in a PostgreSQL database."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from headpond.adapters.postgres.bells import LOOK_AGAIN_S, Bell
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.lanes import columns, held, receive
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, Message, Power, Queue


class PostgresQueue(Queue):
    """Processes everywhere share it; a waiting receiver is told of a send by its bell."""

    lacks: ClassVar[Mapping[Power, str]] = {Power.LOOKUP: "it loses nothing"}

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        await self._database.write("send", now, delay_s, *columns(messages))
        self._database.bells.ring(Bell.LANES, [str(message.lane) for message in messages])

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        until = asyncio.get_running_loop().time() + wait_s
        with self._database.bells.hearing(Bell.LANES, [str(lane) for lane in lanes]) as rung:
            while True:
                rung.clear()
                received = await receive(
                    self._database, lanes, limit=limit, now=self._clock.now(), lease_s=lease_s
                )
                if received or not await wait_for_more(
                    self._database, self._clock, lanes, until, rung
                ):
                    return [lease for lease, _, _ in received]

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        now = self._clock.now()
        rows = await self._database.write("extend", now, lease_s, *held(leases), synced=False)
        kept = {place for (place,) in rows}
        return [lease for place, lease in enumerate(leases, 1) if place in kept]

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        await self._database.write("ack", self._clock.now(), *held(leases))

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        await self._database.write("drop", self._clock.now(), *held(leases))

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        await give_back(self._database, leases, now=self._clock.now(), delay_s=delay_s)

    @override
    async def depth(self, lane: Lane) -> Depth:
        now = self._clock.now()
        ((ready, leased, delayed, oldest),) = await self._database.read("depth", str(lane), now)
        return Depth(ready, leased, delayed, None if oldest is None else now - oldest)

    @override
    async def backlog(self, lane: Lane) -> dict[str, Backlog]:
        rows = await self._database.read("backlog", str(lane), self._clock.now())
        return {team: Backlog(jobs, work_tokens) for team, jobs, work_tokens in rows}


async def give_back(
    database: Database, leases: Sequence[Lease], *, now: float, delay_s: float
) -> None:
    """Make each message ready after `delay_s`, or in its old place, iff its lease is held."""
    ((ready,),) = await database.write("give_back", now, *held(leases), [delay_s] * len(leases))
    database.bells.ring(Bell.LANES, ready)


async def wait_for_more(
    database: Database, clock: Clock, lanes: Sequence[Lane], until: float, rung: asyncio.Event
) -> bool:
    """Wait until there may be a message in the lanes that had none; False once it is `until`.

    `until` is a time of the event loop, which no change of the wall clock moves. `rung` was cleared
    before they were looked at.
    """
    left_s = until - asyncio.get_running_loop().time()
    if left_s <= 0:
        return False
    ((visible_at,),) = await database.read("next_visible", [str(lane) for lane in lanes])
    ready_in_s = LOOK_AGAIN_S if visible_at is None else visible_at - clock.now()
    try:
        async with asyncio.timeout(max(0.0, min(left_s, ready_in_s, LOOK_AGAIN_S))):
            await rung.wait()
    except TimeoutError:
        pass
    return True
