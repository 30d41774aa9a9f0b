"""What chaos looks at when the dust has settled: the rows of a store, and whether it is sound."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.postgres.connection import Limits, connect
from headpond.adapters.redis.inline import InlineServer
from headpond.adapters.redis.queue import RedisQueue
from headpond.domain.lane import lanes_of

MESSAGES = "SELECT count(*) FROM messages"


class Look(Protocol):
    """At a store from outside."""

    async def rows(self, query: str) -> list[Any]:
        """What the query finds."""
        ...

    async def messages(self) -> int:
        """How many the queue holds."""
        ...

    async def sound(self) -> bool:
        """Whether the store says of itself that it is whole."""
        ...


class SqliteLook(Look):
    """At a file that others may have open."""

    def __init__(self, database: Path) -> None:
        self._uri = f"file:{database}?mode=ro"

    @override
    async def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self._uri, uri=True)) as connection:
            return connection.execute(query).fetchall()

    @override
    async def messages(self) -> int:
        return (await self.rows(MESSAGES))[0][0]

    @override
    async def sound(self) -> bool:
        return await self.rows("PRAGMA integrity_check") == [("ok",)]


class PostgresLook(Look):
    """At a database."""

    def __init__(self, url: str) -> None:
        self._url = url

    @override
    async def rows(self, query: str) -> list[Any]:
        connection = await connect(self._url, Limits(statement_s=60))
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    @override
    async def messages(self) -> int:
        return (await self.rows(MESSAGES))[0][0]

    @override
    async def sound(self) -> bool:
        # Each index is walked to the end and has as many entries as its table has rows.
        ((through_index,),) = await self.rows("SELECT count(*) FROM jobs WHERE seq > 0")
        ((of_team,),) = await self.rows("SELECT count(*) FROM jobs WHERE team > ''")
        return through_index == of_team


class RedisLook(Look):
    """At records and at a queue elsewhere."""

    def __init__(self, records: Look, url: str) -> None:
        self._records = records
        self._url = url

    @override
    async def rows(self, query: str) -> list[Any]:
        return await self._records.rows(query)

    @override
    async def messages(self) -> int:
        with closing(InlineServer(self._url)) as server:
            queue = RedisQueue(server, SystemClock())
            depths = [await queue.depth(lane) for lane in lanes_of("default")]
        return sum(depth.ready + depth.leased + depth.delayed for depth in depths)

    @override
    async def sound(self) -> bool:
        return await self._records.sound()
