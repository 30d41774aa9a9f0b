"""The queue in a SQLite file."""

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from headpond.adapters.sqlite import lanes as steps
from headpond.adapters.sqlite.database import Database
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.clock import Clock
from headpond.ports.queue import Depth, Lease, Message, Queue


class SqliteQueue(Queue):
    """Processes on one machine share it; a waiting receiver learns of a send within 1-2 ms."""

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
        until = asyncio.get_running_loop().time() + wait_s
        while await wait_until_ready(self._database, self._clock, lanes, until):
            leases = await self._database.write(
                lambda connection: steps.receive(
                    connection, lanes, limit=limit, now=self._clock.now(), lease_s=lease_s
                ),
                synced=False,
            )
            if leases:
                return leases
        return []

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


async def wait_until_ready(
    database: Database, clock: Clock, lanes: Sequence[Lane], until: float
) -> bool:
    """Wait until the lanes have a ready message; False if they have none at `until`.

    `until` is a time of the event loop, which no change of the wall clock moves.
    Looks with the reader, so that empty lanes cost no write transaction. True is a hint: another
    receiver may be faster.
    """
    while True:
        seen = database.commits
        visible_at = await database.read(lambda connection: steps.next_visible(connection, lanes))
        if visible_at is not None and visible_at <= clock.now():
            return True
        left_s = until - asyncio.get_running_loop().time()
        if left_s <= 0:
            return False
        ready_in_s = left_s if visible_at is None else visible_at - clock.now()
        await database.wait_for_commit(seen, min(left_s, ready_in_s))
