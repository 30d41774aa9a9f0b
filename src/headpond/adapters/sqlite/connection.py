"""Connections to the file, statements and transactions on them, and SQLite's failures as ours."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from headpond.errors import SettingsError, Unavailable

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

IN_MEMORY = Path(":memory:")
"""SQLite's own name for a database without a file."""

BUSY_TIMEOUT_S = 10.0
SWITCH_AGAIN_S = 0.01

BEGIN_AGAIN_S = 0.0003
"""SQLite's own waiting grows to 100 ms between two tries; against a process that takes the lock
again at once, that is to wait for ever. Short and even waits are fair."""


@cache
def sql(name: str) -> str:
    """The statement in `statements/NAME.sql`."""
    return (files("headpond.adapters.sqlite") / "statements" / f"{name}.sql").read_text()


def connect(
    path: Path, *, busy_timeout_s: float | None = None, within_s: float | None = None
) -> sqlite3.Connection:
    """A connection in WAL mode, every commit synced to the disk, no implicit transactions.

    `busy_timeout_s` is how long a single statement waits for a lock, `within_s` how long the switch
    of a new file to WAL does; BUSY_TIMEOUT_S if None.
    """
    with opening(path):
        _make(path)
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_TIMEOUT_S if busy_timeout_s is None else busy_timeout_s,
            cached_statements=256,
        )
        try:
            _use_wal(connection, within_s)
        except BaseException:
            connection.close()
            raise
    connection.execute("PRAGMA synchronous = full")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def _make(path: Path) -> None:
    """A file that is not there, for its owner's eyes alone: prompts will be in it.

    SQLite gives the -wal and -shm files the mode of this one. One that is there is not opened:
    closing it would drop the locks that this process has on it.
    """
    if path == IN_MEMORY:
        return
    with contextlib.suppress(OSError):  # there already, or SQLite says what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _use_wal(connection: sqlite3.Connection, within_s: float | None) -> None:
    """Switch a new file to WAL; an old one is already.

    When processes open a new file at once, SQLite refuses all but one of them without waiting.
    """
    _insist(connection, "PRAGMA journal_mode = wal", every_s=SWITCH_AGAIN_S, within_s=within_s)


@contextlib.contextmanager
def opening(path: Path) -> Generator[None]:
    """SQLite's failures to open a file as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise translated(error) from error
        raise SettingsError(f"{path} cannot be used as Headpond's database: {error}.") from error


@contextlib.contextmanager
def transaction(
    connection: sqlite3.Connection, *, within_s: float | None = None
) -> Generator[None]:
    """Commit what happens inside, or nothing of it.

    It begins within this time, or BUSY_TIMEOUT_S, and the busy time-out of one statement.
    """
    _insist(connection, "BEGIN IMMEDIATE", every_s=BEGIN_AGAIN_S, within_s=within_s)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _insist(
    connection: sqlite3.Connection, statement: str, *, every_s: float, within_s: float | None
) -> None:
    """Run the statement, again and again while somebody else has the lock."""
    until = time.monotonic() + (BUSY_TIMEOUT_S if within_s is None else within_s)
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise
            time.sleep(every_s)
        else:
            return


def is_locked(error: Exception) -> bool:
    """True when somebody else had the file for all of the busy time-out: it was waited for."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def translated(error: Exception) -> Exception:
    """Failures of the file as ours (a full disk, a lock, a damaged page); others as they are."""
    if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
        return Unavailable("The store does not answer.", why=str(error), code="store_unavailable")
    return error


def run(operation: Operation[T], connection: sqlite3.Connection) -> T:
    """What the operation returns; its failures translated."""
    try:
        return operation(connection)
    except sqlite3.DatabaseError as error:
        raise translated(error) from error
