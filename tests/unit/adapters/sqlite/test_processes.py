"""Several processes on one file."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from headpond.adapters.sqlite import changes as changes_module
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.errors import Unavailable
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job
from tests.unit.adapters.sqlite.conftest import Script

COMMITS_ON_DEMAND = """
connection = sqlite3.connect(path, isolation_level=None)
print("ready", flush=True)
for number, _ in enumerate(sys.stdin):
    connection.execute("INSERT INTO idempotency_keys VALUES ('team', ?, '', '', 0)", (number,))
    print("done", flush=True)
"""


def keys(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM idempotency_keys").fetchone()[0]


async def test_a_commit_of_another_process_wakes_a_waiter(
    database: Database, process: Script
) -> None:
    other = process(COMMITS_ON_DEMAND)
    assert other.stdout is not None
    assert other.stdin is not None
    await asyncio.to_thread(other.stdout.readline)
    for expected in range(1, 20):
        seen = database.commits
        assert await database.read(keys) == expected - 1
        waiting = asyncio.create_task(wait_for_keys(database, seen, expected))
        if expected % 2:  # the commit falls between the look and the wait, or into the wait
            await asyncio.sleep(0)
        other.stdin.write("\n")
        other.stdin.flush()
        if not expected % 2:
            await asyncio.to_thread(other.stdout.readline)
        await asyncio.wait_for(waiting, 20)
        if expected % 2:
            await asyncio.to_thread(other.stdout.readline)


async def wait_for_keys(database: Database, seen: int, expected: int) -> None:
    """As a service waits: a wake-up may be for nothing, but none may be missing."""
    while True:
        await database.wait_for_commit(seen, timeout_s=60)
        seen = database.commits
        if await database.read(keys) >= expected:
            return


async def test_waiting_for_a_commit_has_an_end(database: Database) -> None:
    seen = database.commits
    await database.wait_for_commit(seen, 0.05)
    await database.wait_for_commit(seen - 1, 60)


async def test_two_can_wait_at_once(database: Database) -> None:
    seen = database.commits
    waiting = [asyncio.create_task(database.wait_for_commit(seen, 60)) for _ in range(2)]
    short = asyncio.create_task(database.wait_for_commit(seen, 0.0))
    await short
    await database.write(lambda _: None)
    await asyncio.gather(*waiting)


ACKNOWLEDGES = """
async def write(database, ids):
    for _ in range(100_000):
        job = a_job(id=f"job_{next(ids):08}")
        await database.write(lambda connection: records.add(connection, [new_job(job)], 0.0))
        print(job.id, flush=True)

async def main():
    from itertools import count
    database, ids = Database(path), count()
    database.open()
    await asyncio.gather(*(write(database, ids) for _ in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_no_acknowledged_write(process: Script, path: Path) -> None:
    # SPEC Q1
    writer = process(ACKNOWLEDGES)
    assert writer.stdout is not None
    acknowledged = [await asyncio.to_thread(writer.stdout.readline) for _ in range(300)]
    writer.send_signal(signal.SIGKILL)
    rest = await asyncio.to_thread(writer.stdout.read)
    printed = {
        line.strip() for line in acknowledged + rest.splitlines(keepends=True) if "\n" in line
    }
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stored = {job_id for (job_id,) in connection.execute("SELECT id FROM jobs")}
        bodies = connection.execute("SELECT count(*) FROM requests").fetchone()[0]
    assert printed <= stored
    assert bodies == len(stored)
    reopened = Database(path)
    reopened.open()
    await reopened.write(lambda _: None)
    await reopened.close()


OPENS = """
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    database = Database(path)
    database.open()
    await database.close()
    print("opened", flush=True)

asyncio.run(main())
"""


async def test_processes_that_start_at_once_share_a_new_file(process: Script) -> None:
    starting = [process(OPENS) for _ in range(4)]
    for child in starting:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == "ready\n"
    for child in starting:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in starting:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == "opened\n"


async def test_a_change_by_another_store_wakes_every_waiter(database: Database, path: Path) -> None:
    clock = ManualClock()
    jobs = SqliteJobStore(database, clock)
    job = a_job()
    await jobs.add(new_job(job))
    waiting = [asyncio.create_task(jobs.wait_for_change(job.id, 1, 60)) for _ in range(3)]
    later = asyncio.create_task(jobs.wait_for_change(job.id, 2, 60))
    other = Database(path)
    other.open()
    queued = job.enqueued(clock.now())
    assert await SqliteJobStore(other, clock).swap(queued)
    assert await asyncio.gather(*waiting) == [queued] * 3
    running = queued.claimed("w", clock.now())
    assert await SqliteJobStore(other, clock).swap(running)
    assert await later == running
    await other.close()


async def test_whoever_waits_hears_that_the_store_fails(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = SqliteJobStore(database, ManualClock())
    job = a_job()
    await jobs.add(new_job(job))

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(changes_module, "_numbers", broken)
    waiting = [jobs.wait_for_change(job.id, 1, 60) for _ in range(2)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    monkeypatch.undo()
    again = asyncio.create_task(jobs.wait_for_change(job.id, 1, 60))
    await jobs.swap(job.enqueued(1_000_001.0))
    assert await again is not None
