"""The queue in a SQLite file."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeVar

from typing_extensions import override

from headpond.adapters.sqlite import lanes as steps
from headpond.adapters.sqlite.connection import Operation
from headpond.adapters.sqlite.database import Database
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, Message, Power, Queue

T = TypeVar("T")


class SqliteQueue(Queue):
    """Processes on one machine share it; a receiver that waits learns of a send at once."""

    lacks: ClassVar[Mapping[Power, str]] = {Power.LOOKUP: "it loses nothing"}

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        await self._database.write(
            lambda connection: steps.send(connection, messages, now=now, delay_s=delay_s)
        )

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        def take(connection: sqlite3.Connection) -> list[Lease]:
            return steps.receive(
                connection, lanes, limit=limit, now=self._clock.now(), lease_s=lease_s
            )

        return await once_ready(self._database, self._clock, lanes, take, wait_s=wait_s)

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        return await self._database.write(
            lambda connection: steps.extend(
                connection, leases, now=self._clock.now(), lease_s=lease_s
            ),
            synced=False,
        )

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        now = self._clock.now()
        await self._database.write(lambda connection: steps.ack(connection, leases, now=now))

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        now = self._clock.now()
        await self._database.write(lambda connection: steps.drop(connection, leases, now=now))

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        now = self._clock.now()
        await self._database.write(
            lambda connection: steps.give_back(connection, leases, now=now, delay_s=delay_s)
        )

    @override
    async def depth(self, lane: Lane) -> Depth:
        now = self._clock.now()
        return await self._database.survey(
            lambda connection: steps.depth(connection, lane, now=now)
        )

    @override
    async def backlog(self, lane: Lane) -> dict[str, Backlog]:
        now = self._clock.now()
        return await self._database.survey(
            lambda connection: steps.backlog(connection, lane, now=now)
        )


class Quiet(NamedTuple):
    """Nothing is ready; the first message becomes so at `visible_at`, if there is one."""

    visible_at: float | None


async def once_ready(
    database: Database,
    clock: Clock,
    lanes: Sequence[Lane],
    take: Operation[list[T]],
    *,
    wait_s: float,
    look_first: bool = True,
) -> list[T]:
    """What `take` finds in the lanes as soon as there is something; nothing after `wait_s`.

    The wait is in time of the event loop, which no change of the wall clock moves. Lanes without a
    ready message cost a look and no transaction, but for the first unless we `look_first`.
    """
    until = asyncio.get_running_loop().time() + wait_s

    def look(connection: sqlite3.Connection) -> Quiet | None:
        visible_at = steps.next_visible(connection, lanes)
        ready = visible_at is not None and visible_at <= clock.now()
        return None if ready else Quiet(visible_at)

    spare = look if look_first else None
    while True:
        seen = database.commits
        found = await database.write(take, synced=False, spare=spare)
        left_s = until - asyncio.get_running_loop().time()
        if isinstance(found, Quiet) and left_s > 0:
            if found.visible_at is not None:
                left_s = min(left_s, found.visible_at - clock.now())
            await database.wait_for_commit(seen, left_s)
        elif found or left_s <= 0:
            return [] if isinstance(found, Quiet) else found
        spare = look
