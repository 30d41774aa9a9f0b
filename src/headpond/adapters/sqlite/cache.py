"""Answers in a SQLite file of their own, which the processes of one machine share.

Not in the store's file: there each write waits for its turn and for the disk, and what is kept
there is brought along from release to release. Here no commit is synced, a release that keeps
answers otherwise begins anew, and whoever deletes the file loses nothing but time.

It is opened when it is used first, and again after each failure: a file that was damaged and has
been deleted is made anew. One that is there is opened without writing, so that who only reads waits
for nobody who writes.
"""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from headpond.adapters.sqlite.connection import (
    Operation,
    connect,
    opening,
    sql,
    transaction,
    translated,
)
from headpond.domain.fingerprint import FORM, Fingerprint
from headpond.errors import SettingsError
from headpond.ports.cache import AnswerCache
from headpond.ports.clock import Clock

T = TypeVar("T")

APPLICATION_ID = 0x48506E63
"""Stands in the file's header and says that it is ours (the letters HPnc)."""

BUSY_TIMEOUT_S = 0.25
"""Longest wait for somebody else's lock. The thread is held for it, and so is `close`."""

LOT = 64
"""Answers that are dropped in one go."""


class SqliteAnswerCache(AnswerCache):
    """Of a file that is to stay below `max_bytes`, all in a thread of its own."""

    def __init__(self, path: Path, clock: Clock, *, max_bytes: int) -> None:
        self._path = path
        self._clock = clock
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-cache")
        self._connection: sqlite3.Connection | None = None

    @override
    async def get(self, name: Fingerprint) -> bytes | None:
        key = (name, self._clock.now())
        row = await self._run(lambda file: file.execute(sql("get_answer"), key).fetchone())
        return None if row is None else row[0]

    @override
    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        row = (name, self._clock.now() + keep_s, answer)

        def put(file: sqlite3.Connection) -> None:
            with transaction(file, within_s=BUSY_TIMEOUT_S):
                file.execute(sql("put_answer"), row)
                while _bytes_in_use(file) > self._max_bytes:
                    if not file.execute(sql("drop_oldest_answers"), (LOT,)).rowcount:
                        return  # no answer takes what is left

        await self._run(put)

    @override
    async def forget(self) -> int:
        lot = (self._clock.now(), LOT)

        def forget(file: sqlite3.Connection) -> int:
            with transaction(file, within_s=BUSY_TIMEOUT_S):
                return file.execute(sql("forget_answers"), lot).rowcount

        forgotten = 0
        while some := await self._run(forget):
            forgotten += some
        return forgotten

    async def close(self) -> None:
        """Finish what was called, then close the file. Works twice, and before it was opened."""
        await asyncio.to_thread(self._thread.shutdown)
        self._close()

    async def _run(self, operation: Operation[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._tried, operation)

    def _tried(self, operation: Operation[T]) -> T:
        try:
            if self._connection is None:
                self._connection = _opened(self._path)
            return operation(self._connection)
        except sqlite3.DatabaseError as error:
            self._close()
            raise translated(error) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _opened(path: Path) -> sqlite3.Connection:
    connection = connect(path, busy_timeout_s=BUSY_TIMEOUT_S, within_s=BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA synchronous = normal")
        connection.execute("PRAGMA wal_autocheckpoint = 1000")
        with opening(path):
            if _form(connection) != (APPLICATION_ID, FORM):
                with transaction(connection, within_s=BUSY_TIMEOUT_S):
                    _make(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _form(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whose file it is, and of which form."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (form,) = connection.execute("PRAGMA user_version").fetchone()
    return application_id, form


def _make(connection: sqlite3.Connection, path: Path) -> None:
    """Make the table, unless somebody else has just done so; one of another release goes."""
    application_id, form = _form(connection)
    empty = connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
    if application_id != APPLICATION_ID and not empty:
        raise SettingsError(f"{path} is a database of something else. Choose another `cache.url`.")
    if form == FORM:
        return
    connection.execute("DROP TABLE IF EXISTS answers")
    connection.execute(sql("make_answers"))
    connection.execute(sql("index_answers"))
    connection.execute(f"PRAGMA user_version = {FORM}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _bytes_in_use(connection: sqlite3.Connection) -> int:
    (in_use,) = connection.execute(sql("bytes_in_use")).fetchone()
    return in_use
