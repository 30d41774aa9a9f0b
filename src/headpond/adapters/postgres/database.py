"""One PostgreSQL database, opened by any number of processes on any number of machines.

A statement is sent whole and answered whole, and mostly it is the transaction too: the server never
waits for a client while it holds what others need. Two pools: one whose commits are on the disk
before they return, and one for reading and for what a crash may undo. A third kind of connection
listens (see `bells`), a fourth vacuums now and then.

A statement that was sent is heard to its end, whether or not somebody still waits for it, so that
no connection is left in the middle of one. What the server rolled back for another's sake is done
again. A connection that broke is an `Unavailable` for whoever used it; the next one gets a new one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from headpond.adapters.postgres import vacuum
from headpond.adapters.postgres.bells import Bells
from headpond.adapters.postgres.connection import (
    FAILURES,
    Connection,
    Limits,
    Pool,
    Row,
    connect,
    run,
    translated,
    was_rolled_back,
)
from headpond.adapters.postgres.groups import Groups, Work
from headpond.adapters.postgres.schema import migrate
from headpond.errors import Unavailable

T = TypeVar("T")
Item = TypeVar("Item")
Operation = Callable[[Connection], Awaitable[T]]

TRIES = 5
"""How often something is done that the server rolls back for the sake of something else."""


class Database:
    """Call `open` on the event loop that will use it, `close` at the end.

    Each of the two pools has up to `connections`.
    """

    def __init__(self, url: str, *, connections: int = 4, limits: Limits | None = None) -> None:
        self._url = url
        self._limits = limits or Limits()
        wait_s = self._limits.statement_s
        self._synced = Pool(self._connect, connections, wait_s)
        self._quick = Pool(self._connect_unsynced, connections, wait_s)
        self._groups = Groups(self._commit)
        self.bells = Bells(self._tell, self._connect_unsynced)
        self.vacuum = vacuum.Vacuum(self._connect_to_vacuum)
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def open(self) -> None:
        """Create or migrate the schema.

        Raises SettingsError for a database that cannot be used, is not ours or comes from a newer
        release, and Unavailable when the server does not answer.
        """

        async def prepare(connection: Connection) -> str:
            await migrate(connection)
            ((schema,),) = await connection.fetch(
                "SELECT current_schema()::regnamespace::oid::text"
            )
            return schema

        self.bells.start(f"headpond_{await self._on(self._synced, prepare)}")

    async def close(self) -> None:
        """Finish what was handed in, then close the connections. Works twice."""
        await self._groups.close()
        self._closed = True
        while self._running:
            await asyncio.wait(self._running)
        await self.vacuum.close()
        await self.bells.close()
        await self._synced.close()
        await self._quick.close()

    async def read(self, statement: str, *args: object) -> list[Row]:
        """The rows of a statement that changes nothing. Raises Unavailable."""
        return await self._on(self._quick, lambda connection: run(connection, statement, *args))

    async def write(self, statement: str, *args: object, synced: bool = True) -> list[Row]:
        """Run the statement in a transaction of its own, which is durable when this returns.

        Without `synced` a crash of the server may undo it, and nothing that was committed before
        it: right for what its loser notices and does again. Raises Unavailable; then it may have
        happened all the same, if the connection broke on the way back.
        """
        pool = self._synced if synced else self._quick
        return await self._on(pool, lambda connection: run(connection, statement, *args))

    async def transaction(self, operation: Operation[T]) -> T:
        """Run the operation in a transaction that is durable when this returns.

        The server waits for us in between: do not lock what others need.
        """

        async def inside(connection: Connection) -> T:
            async with connection.transaction():
                return await operation(connection)

        return await self._on(self._synced, inside)

    async def join(self, work: Work[Item, T], item: Item) -> T:
        """As `write`, for work that takes many items in one transaction."""
        return await self._groups.join(work, item)

    async def on_connection(self, operation: Operation[T]) -> T:
        """Run the operation on a connection whose commits are durable, each of its own."""
        return await self._on(self._synced, operation)

    async def _commit(self, work: Work[Any, Any], items: Sequence[Any]) -> Sequence[Any]:
        async def all_of_them(connection: Connection) -> Sequence[Any]:
            return await work(connection, items)

        return await self._on(self._synced, all_of_them)

    async def _on(self, pool: Pool, operation: Operation[T]) -> T:
        if self._closed:
            raise Unavailable("The store is closed.", code="store_unavailable")
        running = asyncio.ensure_future(_insist(pool, operation))
        self._running.add(running)
        running.add_done_callback(self._forget)
        return await asyncio.shield(running)

    def _forget(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # whoever asked may be gone, and then nobody reads it

    async def _tell(self, channels: list[str], words: list[str]) -> object:
        return await self.write("tell", channels, words, synced=False)

    async def _connect(self) -> Connection:
        return await connect(self._url, self._limits)

    async def _connect_unsynced(self) -> Connection:
        return await connect(self._url, self._limits, synced=False)

    async def _connect_to_vacuum(self) -> Connection:
        limits = replace(self._limits, statement_s=vacuum.WITHIN_S)
        return await connect(self._url, limits, synced=False)


async def _insist(pool: Pool, operation: Operation[T]) -> T:
    """What the operation returns; its failures translated."""
    tries = 0
    while True:
        tries += 1
        try:
            async with pool.connection() as connection:
                return await operation(connection)
        except FAILURES as error:
            if not was_rolled_back(error) or tries == TRIES:
                failure = translated(error)
                if failure is error:
                    raise
                raise failure from error
