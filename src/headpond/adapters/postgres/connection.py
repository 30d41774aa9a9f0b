"""Connections to the server, statements on them, and the server's failures as ours."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, cast

import asyncpg
import msgspec

from headpond.errors import InvalidRequest, SettingsError, Unavailable

Row = Sequence[Any]

PLANS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""Every statement has its index, and means to walk it from the few rows that it is given. A plan
that was made for a table when it was new and small must not be kept when there are millions of
rows."""

IDLE_TRANSACTION_S = 10
"""A process that stops answering in a transaction loses it after this, and what it has locked."""

CANCELLED_GRACE_S = 5.0
"""The server ends a statement that takes too long; if it does not, it is given up after this."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long to connect, and to wait for a statement or for one's turn. Seconds."""

    connect_s: float = 5.0
    statement_s: float = 15.0


class Connection(Protocol):
    """What we use of a connection. One statement at a time."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Run a statement; a transaction of its own unless one is open."""
        ...

    async def execute(self, query: str) -> str:
        """Run a script without parameters."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Commit what happens inside, or nothing of it."""
        ...

    def is_closed(self) -> bool:
        """Whether it is of no use any more."""
        ...

    def terminate(self) -> None:
        """Let go of it at once; the server rolls back what was open."""
        ...

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's
        """Say goodbye."""
        ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Call back with (connection, process id, channel, words) at each notification."""
        ...

    def add_termination_listener(self, callback: Callable[..., None]) -> None:
        """Call back when it is closed, whoever closes it."""
        ...


@cache
def sql(name: str) -> str:
    """The statement in `statements/NAME.sql`."""
    return (files("headpond.adapters.postgres") / "statements" / f"{name}.sql").read_text()


async def run(connection: Connection, name: str, *args: object) -> list[Row]:
    """The rows of the statement `name`."""
    return await connection.fetch(sql(name), *args)


async def connect(url: str, limits: Limits, *, synced: bool = True) -> Connection:
    """A connection on which every statement has a time limit.

    Without `synced`, commits do not wait until they are on the disk (`synchronous_commit`).
    Raises SettingsError for what only the settings can put right, and Unavailable.
    """
    settings = PLANS | {
        "application_name": "headpond",
        "statement_timeout": f"{limits.statement_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_S * 1000}",
    }
    if not synced:
        settings["synchronous_commit"] = "off"
    with_settings = cast("Any", asyncpg).connect(
        url,
        timeout=limits.connect_s,
        command_timeout=limits.statement_s + CANCELLED_GRACE_S,
        server_settings=settings,
    )
    try:
        return cast("Connection", await with_settings)
    except asyncpg.PostgresError as error:
        # Nothing was asked yet: what it does not like is the URL, or the role.
        raise (translated(error) if _passes(error) else refused(error)) from error
    except asyncpg.ClientConfigurationError as error:
        raise SettingsError(f"store: this URL cannot be used: {error}.") from error
    except ValueError as error:  # whose words may have a piece of the password
        message = (
            "store: this URL cannot be used: write the port as a number, and what is special in "
            "user and password by its code, such as %2F for /."
        )
        raise SettingsError(message) from error
    except FAILURES as error:
        raise translated(error) from error


FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""All that a connection raises of itself."""

UNAVAILABLE = ("08", "25006", "25P03", "40", "53", "54", "55", "57", "58", "F0", "XX")
"""Classes of SQLSTATE that may pass: a lost connection, a server that starts, stops or is a standby
now, a deadlock, too many connections, a full disk, a lock or a statement that took too long."""

ROLLED_BACK = "40"
"""The class of what was rolled back so that somebody else could go on: done again, it works."""


def translated(error: BaseException) -> BaseException:
    """Failures of the server and of the way to it as ours; others as they are."""
    match error:
        case asyncpg.CharacterNotInRepertoireError() | asyncpg.UntranslatableCharacterError():
            message = "The request has characters that cannot be stored, such as U+0000."
            return InvalidRequest(message, code="invalid_characters")
        case asyncpg.PostgresError() if not _passes(error):
            return error
        case TimeoutError():
            why = "not in time"
        case (
            asyncpg.PostgresError()
            | asyncpg.InterfaceError()
            | asyncpg.InternalClientError()  # its connection was cut off between two messages
            | OSError()
        ):
            why = str(error)
        case _:
            return error
    return Unavailable("The store does not answer.", why=why, code="store_unavailable")


def refused(error: asyncpg.PostgresError, advice: str = "") -> SettingsError:
    """What only whoever runs Headpond can put right."""
    said = str(error).rstrip(".")
    return SettingsError(f"store: the PostgreSQL server says: {said}.{advice}")


def _passes(error: asyncpg.PostgresError) -> bool:
    return str(getattr(error, "sqlstate", "")).startswith(UNAVAILABLE)


def was_rolled_back(error: BaseException) -> bool:
    """Whether the server chose this one to give way: nothing of it has happened."""
    state = str(getattr(error, "sqlstate", ""))
    return isinstance(error, asyncpg.PostgresError) and state.startswith(ROLLED_BACK)


class Pool:
    """Up to `size` connections, opened when they are needed; one that broke is never used again."""

    def __init__(
        self,
        connect: "Callable[[], asyncio.Future[Connection] | Any]",
        size: int,
        wait_s: float,
    ) -> None:
        self._connect = connect
        self._wait_s = wait_s
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """One for the length of the context. Raises as `connect` does."""
        async with self._turn():
            connection = self._take() or await self._connect()
            try:
                yield connection
            except asyncpg.PostgresError as error:
                self._keep(connection, sound=not _passes(error) or was_rolled_back(error))
                raise
            except BaseException:
                self._keep(connection, sound=False)
                raise
            else:
                self._keep(connection, sound=True)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            message = "The store does not answer: many wait for it already."
            raise Unavailable(message, code="store_unavailable") from error
        try:
            yield
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close those that are not in use."""
        while connection := self._take():
            await connection.close(timeout=1.0)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def _keep(self, connection: Connection, *, sound: bool) -> None:
        if sound:
            self._idle.append(connection)
        else:
            connection.terminate()
