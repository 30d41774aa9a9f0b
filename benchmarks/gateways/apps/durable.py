"""Raw ASGI: validate, insert durably, answer 202.

A writer thread takes whatever requests have arrived, at most 256, and commits them in one
transaction (group commit): one fsync is shared by all of them.  A second thread copies the log back
into the database four times a second, so that no commit has to (SQLite's automatic checkpoint runs
inside a commit and makes the tail of the latencies).
"""

import asyncio
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.gateways.apps import job_request, serving
from benchmarks.gateways.apps.raw_asgi import Message, Receive, Send, answer, read_body

GROUP_LIMIT: Final = 256
CHECKPOINT_INTERVAL_S: Final = 0.25

# A rowid table: rows are appended; identifiers sort by time, so their index grows at its end too.
CREATE: Final = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL, model TEXT NOT NULL, team TEXT NOT NULL, payload BLOB NOT NULL,
    submitted REAL NOT NULL
);
CREATE INDEX ready ON jobs (priority DESC, number) WHERE state = 0;
CREATE UNIQUE INDEX by_id ON jobs (id);
"""
INSERT: Final = """
INSERT INTO jobs (id, priority, model, team, payload, submitted) VALUES (?, ?, ?, ?, ?, ?)
"""

Row = tuple[str, int, str, str, bytes, float]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row, and the future of the request that waits for its commit."""

    row: Row
    committed: asyncio.Future[None]


class GroupCommit:
    """Durable inserts for one event loop."""

    def __init__(self, path: Path) -> None:
        """Make the database; begin no thread yet."""
        self._path = path
        self._waiting: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        self._connection = self._connect()
        self._connection.executescript(CREATE)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin writing and checkpointing; the threads end with the process."""
        threading.Thread(target=self._write, args=(loop,), daemon=True).start()
        threading.Thread(target=self._checkpoint, daemon=True).start()

    async def insert(self, row: Row) -> None:
        """Return when the row survives a power cut."""
        committed = asyncio.get_running_loop().create_future()
        self._waiting.put(Waiting(row, committed))
        await committed

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            group = self._next_group()
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT, [waiting.row for waiting in group])
            self._connection.execute("COMMIT")
            # One wake-up of the loop for the whole group: each costs a system call.
            loop.call_soon_threadsafe(_release, group)

    def _next_group(self) -> list[Waiting]:
        group = [self._waiting.get()]
        try:
            while len(group) < GROUP_LIMIT:
                group.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        return group

    def _checkpoint(self) -> None:
        connection = self._connect()
        while True:
            time.sleep(CHECKPOINT_INTERVAL_S)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection


def _release(group: list[Waiting]) -> None:
    for waiting in group:
        # A client that hung up has cancelled its future.
        if not waiting.committed.done():
            waiting.committed.set_result(None)


class DurableApp:
    """Answers POST /jobs once the job is on disk."""

    def __init__(self, path: Path) -> None:
        """Keep the database at `path`."""
        self._inserts = GroupCommit(path)
        self._started = False

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        """Take one request."""
        if not self._started:
            self._started = True
            self._inserts.start(asyncio.get_running_loop())
        body = await read_body(receive)
        try:
            job = job_request.decode(body)
        except msgspec.ValidationError as error:
            await answer(send, 400, job_request.refused(error))
            return
        job_id = job_request.new_job_id()
        row = (job_id, job.priority, job.model, job.team, body, time.time())
        await self._inserts.insert(row)
        await answer(send, 202, job_request.accepted(job_id))


def main() -> None:
    """Serve with a database in the folder that the command line names."""
    parser = serving.parser()
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    serving.serve(DurableApp(options.directory / "jobs.db"), options.port)


if __name__ == "__main__":
    main()
