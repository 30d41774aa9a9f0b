"""One SQLite file, opened by any number of processes.

One thread writes. It takes every operation that waits, runs them in one transaction and commits
once: many concurrent submits share one fsync (`synchronous=FULL`, so a commit survives a power
cut). Neighbours of one kind may share their statements too. An operation that raises does not harm
its neighbours: the transaction is rolled back and each operation runs again in a transaction of
its own. Operations therefore must have no effect but on the database.

One thread reads, beside the writer. One copies the WAL back into the file in the background, so
that no commit pays for it. Commits of other processes ring a bell (`bells.py`), which is heard
while somebody waits for them. One thread looks whether a bell was missed, and often where there are
none: SQLite counts commits in shared memory (`PRAGMA data_version`), and reading that count costs
microseconds.

On a virtual-time event loop there are no threads: `inline=True` runs everything where it is called.
"""

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from headpond.adapters.sqlite.bells import Bells
from headpond.adapters.sqlite.connection import (
    Operation,
    connect,
    is_locked,
    run,
    transaction,
    translated,
)
from headpond.adapters.sqlite.schema import migrate
from headpond.errors import Unavailable

T = TypeVar("T")
Item = TypeVar("Item")
Work = Callable[[sqlite3.Connection, Sequence[Item]], Sequence[T]]
"""Does the same to each item; returns a result for each."""

GROUP = 256
"""Most operations of one transaction; bounds how long the first waits for the last."""

CHECKPOINT_EVERY_S = 0.25
WAL_LIMIT_PAGES = 32_768
"""With pages of 4 KiB, 128 MiB: above that the writer stops and copies the WAL back itself."""

WATCH_WITH_BELLS_S = 0.02
"""For commits that nobody rings: of an older release, or of another user."""

WATCH = ((1.0, 0.0005), (10.0, 0.001), (math.inf, 0.004))
"""Without bells: until the last commit is so many seconds old, a look each so many seconds. Looking
each millisecond costs 5 % of a core: that is for when something happens."""


class Signal:
    """Counts, and wakes everybody who waits for the next count."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    def notify(self) -> None:
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Until `count` is not `seen` any more, or for `timeout_s` seconds."""
        if self.count != seen:
            return
        event = self._event
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()


class Write(Generic[Item, T]):
    """An item on its way through the writer, and where its result goes."""

    __slots__ = ("error", "future", "item", "result", "spare", "synced", "work")

    def __init__(
        self,
        work: Work[Item, T],
        item: Item,
        future: "asyncio.Future[T]",
        *,
        synced: bool,
        spare: Operation[T | None] | None = None,
    ) -> None:
        self.work = work
        self.item = item
        self.future = future
        self.synced = synced
        self.spare = spare
        self.result: T | None = None
        self.error: Exception | None = None

    def is_spared(self, connection: sqlite3.Connection) -> bool:
        """Whether a look shows that it is not needed, or cannot be had."""
        if self.spare is None:
            return False
        try:
            self.result = self.spare(connection)
        except Exception as error:  # noqa: BLE001 - it goes to whoever asked
            self.error = translated(error)
            return True
        return self.result is not None

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(cast("T", self.result))


class Database:
    """Call `open` on the event loop that will use it, `close` at the end."""

    def __init__(self, path: Path, *, inline: bool = False) -> None:
        self._path = path
        self._inline = inline
        self._gathered: list[Write[Any, Any]] = []
        self._writes: queue.SimpleQueue[list[Write[Any, Any]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._watched = threading.Event()
        self._waiters = 0
        self._wal_is_long = threading.Event()
        self._synced = True
        file = path.resolve()  # as SQLite does, for the WAL
        self._bells = Bells(file.with_name(f"{file.name}-bells"))

    def open(self) -> None:
        """Create or migrate the file, then start the threads.

        Raises SettingsError for a file that cannot be opened, is not ours or comes from a newer
        release, and Unavailable when it stays locked.
        """
        self._loop = asyncio.get_running_loop()
        self._changed = Signal()
        # It waits by itself, see `transaction`; and a checkpoint that must wait comes back later.
        self._writer = connect(self._path, busy_timeout_s=0.0)
        try:
            migrate(self._writer, self._path)
        except BaseException:
            self._writer.close()
            raise
        if self._inline:
            self._reader = self._surveyor = self._writer
            return
        self._reader, self._surveyor = connect(self._path), connect(self._path)
        for reader in (self._reader, self._surveyor):
            reader.execute("PRAGMA query_only = on")
        self._read_pool = ThreadPoolExecutor(1, thread_name_prefix="sqlite-read")
        self._survey_pool = ThreadPoolExecutor(1, thread_name_prefix="sqlite-survey")
        self._bells.hang_up()
        for work in (self._write_groups, self._checkpoint, self._watch):
            thread = threading.Thread(target=work, name=f"sqlite{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    async def close(self) -> None:
        """Finish what was handed in, then end the threads. Works twice."""
        self._closing.set()
        if not self._inline:
            self._hand_over()
            self._writes.put(None)
            self._watched.set()
            for thread in self._threads:
                await asyncio.to_thread(thread.join)
            self._read_pool.shutdown()
            self._survey_pool.shutdown()
            self._reader.close()
            self._surveyor.close()
            self._bells.mute(self._loop)
            self._bells.take_down()
        self._writer.close()

    async def write(
        self,
        operation: Operation[T],
        *,
        synced: bool = True,
        spare: Operation[T | None] | None = None,
    ) -> T:
        """Run the operation in a transaction that is durable when this returns.

        Without `synced` it is safe from a crash of any process, but a power cut may undo it, and
        nothing that was committed before it. That is right for leases: whoever held one is gone
        after a power cut, and its message had better be ready. `spare` is a look at what is
        committed, just before; unless it finds None, that is the result, and nobody is kept from
        writing.

        Raises what the operation raises, and Unavailable when the file cannot be written (full
        disk, locked for long, I/O error); then nothing was changed.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        return await self._written(
            Write(_one_by_one, operation, future, synced=synced, spare=spare)
        )

    async def write_item(self, work: Work[Item, T], item: Item) -> T:
        """As `write`, for work that takes what waits in a row at once: statements for many rows."""
        return await self._written(Write(work, item, self._loop.create_future(), synced=True))

    async def _written(self, write: Write[Any, T]) -> T:
        if self._closing.is_set():
            raise Unavailable("The store is closed.", code="store_unavailable")
        if self._inline:
            if due := self._due([write]):
                self._commit(due)
                self._deliver(due)
        else:
            self._gathered.append(write)
            if len(self._gathered) == 1:
                self._loop.call_soon(self._hand_over)
        return await write.future

    async def read(self, operation: Operation[T]) -> T:
        """Run the operation on what is committed. Raises Unavailable as `write`."""
        if self._inline:
            return run(operation, self._reader)
        return await self._loop.run_in_executor(self._read_pool, run, operation, self._reader)

    async def survey(self, operation: Operation[T]) -> T:
        """As `read`, for what may take long: it holds up other surveys, and nobody else."""
        if self._inline:
            return run(operation, self._surveyor)
        return await self._loop.run_in_executor(self._survey_pool, run, operation, self._surveyor)

    @property
    def commits(self) -> int:
        """How many commits, or groups of them, this process has noticed."""
        return self._changed.count

    async def wait_for_commit(self, seen: int, timeout_s: float) -> None:
        """Until somebody, in this process or another, commits; at most `timeout_s` seconds.

        Take `commits` as `seen` before you look at the database, and no commit after your look
        is missed. May wake for nothing.
        """
        self._waiters += 1
        try:
            if self._waiters == 1:
                self._watched.set()
                self._bells.listen(self._loop, self._changed.notify)
            await self._changed.wait(seen, timeout_s)
        finally:
            self._waiters -= 1
            if not self._waiters:
                self._bells.mute(self._loop)
                if not self._closing.is_set():
                    self._watched.clear()

    def _hand_over(self) -> None:
        # All that this turn of the loop brought, at once: to wake the writer costs more than the
        # rest of handing it something.
        gathered, self._gathered = self._gathered, []
        self._writes.put(gathered)

    def _write_groups(self) -> None:
        while True:
            waiting, ended = self._next_writes()
            for start in range(0, len(waiting), GROUP):
                if due := self._due(waiting[start : start + GROUP]):
                    changes = self._writer.total_changes
                    self._commit(due)
                    if self._writer.total_changes != changes:
                        self._bells.ring()
                    self._soon(partial(self._deliver, due))
            if ended:
                return
            if self._wal_is_long.is_set():
                self._wal_is_long.clear()
                with contextlib.suppress(sqlite3.OperationalError):
                    self._writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()

    def _next_writes(self) -> tuple[list[Write[Any, Any]], bool]:
        """Whatever waits; True when the end was called."""
        waiting: list[Write[Any, Any]] = []
        gathered = self._writes.get()
        while gathered is not None:
            waiting += gathered
            try:
                gathered = self._writes.get_nowait()
            except queue.Empty:
                return waiting, False
        return waiting, True

    def _due(self, group: Sequence[Write[Any, Any]]) -> list[Write[Any, Any]]:
        """Those that are to be written; the others have what they wanted, and wait for nobody."""
        due: list[Write[Any, Any]] = []
        for write in group:
            if not write.is_spared(self._writer):
                due.append(write)
            elif self._inline:
                write.deliver()
            else:
                self._soon(write.deliver)
        return due

    def _soon(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody asks
            self._loop.call_soon_threadsafe(callback)

    def _commit(self, group: Sequence[Write[Any, Any]]) -> None:
        try:
            self._transaction(group)
        except Exception as error:  # noqa: BLE001 - it goes to whoever asked
            if len(group) == 1 or is_locked(error):
                for write in group:
                    write.error = translated(error)
                return
            for write in group:
                self._commit([write])

    def _transaction(self, group: Sequence[Write[Any, Any]]) -> None:
        self._set_synced(any(write.synced for write in group))
        with transaction(self._writer):
            for work, alike in groupby(group, attrgetter("work")):
                writes = list(alike)
                results = work(self._writer, [write.item for write in writes])
                for write, result in zip(writes, results, strict=True):
                    write.result = result

    def _set_synced(self, synced: bool) -> None:  # noqa: FBT001 - it is what is set
        if synced != self._synced:
            self._writer.execute(f"PRAGMA synchronous = {'full' if synced else 'normal'}")
            self._synced = synced

    def _deliver(self, group: Sequence[Write[Any, Any]]) -> None:
        for write in group:
            write.deliver()
        self._changed.notify()

    def _checkpoint(self) -> None:
        connection = connect(self._path)
        while not self._closing.wait(CHECKPOINT_EVERY_S):
            with contextlib.suppress(sqlite3.Error):
                row = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if row[1] > WAL_LIMIT_PAGES:
                    self._wal_is_long.set()
        connection.close()

    def _watch(self) -> None:
        connection = connect(self._path)
        seen, changed_at = None, time.monotonic()
        while not self._closing.is_set():
            self._watched.wait()
            # Either the file does not answer, and is asked again, or the loop has ended.
            with contextlib.suppress(sqlite3.Error, RuntimeError):
                (version,) = connection.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    seen, changed_at = version, time.monotonic()
                    self._loop.call_soon_threadsafe(self._changed.notify)
            self._closing.wait(self._watch_again_s(time.monotonic() - changed_at))
        connection.close()

    def _watch_again_s(self, quiet_s: float) -> float:
        if self._bells.hangs:
            return WATCH_WITH_BELLS_S
        return next(every_s for until_s, every_s in WATCH if quiet_s <= until_s)


def _one_by_one(connection: sqlite3.Connection, operations: Sequence[Operation[T]]) -> list[T]:
    return [operation(connection) for operation in operations]
