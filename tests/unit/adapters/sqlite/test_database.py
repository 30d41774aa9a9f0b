"""One writer, many askers: nobody harms a neighbour, and what was acknowledged is there."""

import asyncio
import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from headpond.adapters.sqlite import connection as connection_module
from headpond.adapters.sqlite import database as module
from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.audit import SqliteAudit
from headpond.adapters.sqlite.connection import connect, sql
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.schema import APPLICATION_ID, migrations
from headpond.errors import SettingsError, Unavailable
from headpond.ports.audit import AuditQuery
from headpond.testing.records import a_job, new_job

Operation = Callable[[sqlite3.Connection], object]


def putting(name: str, size: int = 0) -> Operation:
    """Writes a key; `size` is how much room it takes."""
    row = ("team", name, "x" * size, "job", 0.0)
    return lambda connection: connection.execute(sql("put_key"), row).rowcount


def names(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT key FROM idempotency_keys ORDER BY key")
    return [name for (name,) in rows]


class Held:
    """Holds the writer in an operation, so that those behind it wait together."""

    def __init__(self, database: Database) -> None:
        self._began = threading.Event()
        self._go = threading.Event()
        self._task = asyncio.create_task(database.write(self._operation))

    def _operation(self, _: sqlite3.Connection) -> None:
        self._began.set()
        self._go.wait(30)

    async def begin(self) -> None:
        await asyncio.to_thread(self._began.wait, 30)

    async def release(self) -> None:
        self._go.set()
        await self._task


async def together(database: Database, *operations: Operation) -> list[object]:
    """Hand the operations in while the writer is busy; their results or errors."""
    held = Held(database)
    await held.begin()
    tasks = [asyncio.create_task(database.write(operation)) for operation in operations]
    await asyncio.sleep(0)
    await held.release()
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def raising(error: Exception) -> Operation:
    def operation(connection: sqlite3.Connection) -> object:
        putting("half")(connection)
        raise error

    return operation


async def test_an_operation_that_fails_does_not_harm_its_neighbours(database: Database) -> None:
    error = LookupError("mine")
    results = await together(database, putting("a"), raising(error), putting("b"))
    assert results == [1, error, 1]
    assert await database.read(names) == ["a", "b"]


async def test_an_error_of_sqlite_reaches_its_own_caller_as_ours(database: Database) -> None:
    wrong: Operation = lambda connection: connection.execute("SELECT * FROM nowhere")  # noqa: E731
    good, bad = await together(database, putting("a"), wrong)
    assert good == 1
    assert isinstance(bad, Unavailable)
    with pytest.raises(Unavailable, match="nowhere"):
        await database.read(wrong)


async def test_writes_that_wait_together_share_one_commit(database: Database) -> None:
    begun = 0

    def count(statement: str) -> None:
        nonlocal begun
        begun += statement.startswith("BEGIN")

    database._writer.set_trace_callback(count)
    await together(database, *(putting(f"{n:03}") for n in range(200)))
    assert begun == 2  # that of the operation that held the writer, and one for all the others
    assert len(await database.read(names)) == 200


async def test_a_group_has_a_bound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 2)
    assert await together(database, *(putting(str(n)) for n in range(5))) == [1] * 5
    assert len(await database.read(names)) == 5


async def test_whoever_does_not_wait_any_more_is_left_alone(database: Database) -> None:
    held = Held(database)
    await held.begin()
    impatient = asyncio.create_task(database.write(putting("a")))
    await asyncio.sleep(0)
    impatient.cancel()
    await held.release()
    await database.write(putting("b"))
    assert await database.read(names) == ["a", "b"]


async def test_close_finishes_what_was_handed_in(path: Path) -> None:
    database = Database(path)
    database.open()
    writes = [asyncio.create_task(database.write(putting(f"{n:02}"))) for n in range(50)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*writes) == [1] * 50
    with closing(sqlite3.connect(path)) as connection:
        assert len(names(connection)) == 50


@pytest.mark.parametrize("inline", [True, False])
async def test_a_closed_database_takes_nothing_and_closes_again(
    path: Path,
    inline: bool,
) -> None:
    database = Database(path, inline=inline)
    database.open()
    await database.close()
    with pytest.raises(Unavailable):
        await database.write(putting("a"))
    await database.close()


async def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(
    database: Database,
) -> None:
    await database.write(putting("before"))
    (pages,) = database._writer.execute("PRAGMA page_count").fetchone()
    database._writer.execute(f"PRAGMA max_page_count = {pages}")

    def half_then_too_much(connection: sqlite3.Connection) -> object:
        connection.execute("DELETE FROM idempotency_keys")
        return putting("large", 1_000_000)(connection)

    small, large = await together(database, putting("small"), half_then_too_much)
    assert small == 1
    assert isinstance(large, Unavailable)
    assert await database.read(names) == ["before", "small"]
    database._writer.execute("PRAGMA max_page_count = 100000")
    await database.write(putting("later", 1_000_000))
    assert await database.read(names) == ["before", "later", "small"]


async def test_a_full_disk_at_the_first_start_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(path: Path, *, busy_timeout_s: float | None = None) -> sqlite3.Connection:
        connection = connect(path, busy_timeout_s=busy_timeout_s)
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(module, "connect", small)
    with pytest.raises(SettingsError, match="full"):
        Database(path).open()


async def test_a_file_that_stays_locked_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BUSY_TIMEOUT_S", 0.2)
    database = Database(path)
    database.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        writes = [database.write(putting(str(n))) for n in range(100)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        # Nobody waits for the lock twice: all that came together hear of it together.
        assert time.monotonic() - began < 10 * connection_module.BUSY_TIMEOUT_S
        other.execute("ROLLBACK")
    await database.write(putting("a"))
    assert await database.read(names) == ["a"]
    await database.close()


async def test_a_look_that_spares_a_write_waits_for_no_lock(path: Path, database: Database) -> None:
    commits = database.commits
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        blocked = asyncio.create_task(database.write(putting("blocked")))
        spared = asyncio.create_task(
            database.write(putting("spared"), spare=lambda _: "nothing to do")
        )
        failed = asyncio.create_task(
            database.write(putting("failed"), spare=lambda file: file.execute("nonsense"))
        )
        assert await spared == "nothing to do"
        with pytest.raises(Unavailable, match="nonsense"):
            await failed
        assert not blocked.done()
        assert database.commits == commits
        other.execute("ROLLBACK")
    await blocked
    assert await database.write(putting("needed"), spare=lambda _: None) == 1
    assert await database.read(names) == ["blocked", "needed"]


async def test_a_file_that_is_locked_at_the_start_is_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable):
            Database(path).open()
        other.execute("ROLLBACK")
        other.execute("PRAGMA journal_mode = wal")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            Database(path).open()


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    notes = b"These are somebody's notes, long enough to be looked at." * 100
    await asyncio.to_thread(path.write_bytes, notes)
    with pytest.raises(SettingsError, match="not a database"):
        Database(path).open()
    assert await asyncio.to_thread(path.read_bytes) == notes


async def test_a_place_without_a_folder_is_refused(path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        Database(path / "missing" / "headpond.db").open()


@pytest.mark.parametrize("user_version", [0, 1, len(migrations()), 99])
async def test_a_database_of_something_else_is_refused_and_left_alone(
    path: Path, user_version: int
) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (note TEXT)")
        other.execute(f"PRAGMA user_version = {user_version}")
    with pytest.raises(SettingsError, match="something else"):
        Database(path).open()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("notes",)]


async def test_a_file_of_a_newer_release_is_refused(path: Path) -> None:
    database = Database(path)
    database.open()
    await database.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="schema version 99"):
        Database(path).open()


async def test_a_file_of_the_first_schema_opens_and_its_ended_jobs_are_audited(
    path: Path,
) -> None:
    waiting = a_job()
    ended = a_job().claimed("w", 1_000_001).cancelled(1_000_002)
    with closing(connect(path)) as first:
        first.executescript(migrations()[0])
        first.execute("PRAGMA user_version = 1")
        first.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for job in (waiting, ended):
            first.execute(
                "INSERT INTO jobs"
                " (id, version, team, model, state, accepted_at, finished_at, record)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.id,
                    job.version,
                    job.team,
                    job.model,
                    job.state.value,
                    job.accepted_at,
                    job.finished_at,
                    msgspec.json.encode(job).decode(),
                ),
            )
    database = Database(path)
    database.open()
    audited = [entry.job async for entry in SqliteAudit(database).read(AuditQuery())]
    assert audited == [ended]
    await database.close()


async def test_a_long_audit_is_read_page_by_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.adapters.sqlite.audit.PAGE", 3)
    monkeypatch.setattr("headpond.adapters.sqlite.audit.PAGE_WITH_BODIES", 2)
    jobs = [
        a_job().claimed("w", 1_000_000 + n // 2).cancelled(1_000_000 + n // 2) for n in range(7)
    ]
    news = [new_job(job) for job in jobs]
    await database.write(lambda connection: records.add(connection, news, 0.0))
    audit = SqliteAudit(database)
    for limit in (None, 0, 1, 2, 4, 5, 7, 9):
        read = [entry.job async for entry in audit.read(AuditQuery(limit=limit))]
        assert read == jobs[:limit]
        assert [job async for job in audit.jobs(AuditQuery(limit=limit))] == jobs[:limit]


async def test_an_audit_holds_few_bodies_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [a_job().claimed("w", 1_000_000).cancelled(1_000_000) for _ in range(50)]
    news = [new_job(job) for job in jobs]
    await database.write(lambda connection: records.add(connection, news, 0.0))
    held: list[int] = []
    read = database.read

    async def counting(work: Callable[[sqlite3.Connection], list[object]]) -> list[object]:
        rows = await read(work)
        held.append(len(rows))
        return rows

    monkeypatch.setattr(database, "read", counting)
    assert len([entry async for entry in SqliteAudit(database).read(AuditQuery())]) == 50
    assert max(held) <= 8


async def test_a_reader_never_sees_half_a_transaction(database: Database) -> None:
    def move(connection: sqlite3.Connection) -> object:
        connection.execute("DELETE FROM idempotency_keys")
        return [putting(f"{name}")(connection) for name in ("one", "two")]

    await database.write(move)
    done = False

    async def look() -> int:
        looks = 0
        while not done:
            assert await database.read(names) == ["one", "two"]
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    for _ in range(50):
        await database.write(move)
    done = True
    assert await looking > 0


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await database.read(putting("a"))


async def test_the_wal_does_not_grow_without_bound(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_EVERY_S", 0.001)
    monkeypatch.setattr(module, "WAL_LIMIT_PAGES", 50)
    database = Database(path)
    database.open()
    restarted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(statement: str) -> None:
        if "RESTART" in statement:
            loop.call_soon_threadsafe(restarted.set)

    database._writer.set_trace_callback(note)
    while not restarted.is_set():
        await database.write(putting("large", 400_000))
    # Every write makes the file longer, but for one that begins it anew.
    wal = path.with_name("headpond.db-wal")
    before, size = 0, 1
    while size > before:
        before = (await asyncio.to_thread(wal.stat)).st_size
        await database.write(putting("small"))
        size = (await asyncio.to_thread(wal.stat)).st_size
    assert await database.read(names) == ["large", "small"]
    await database.close()


async def test_an_unsynced_write_is_seen_and_the_next_one_is_synced_again(
    database: Database,
) -> None:
    seen: list[str] = []
    database._writer.set_trace_callback(seen.append)
    await database.write(putting("a"), synced=False)
    await database.write(putting("b"))
    assert [line for line in seen if "synchronous" in line] == [
        "PRAGMA synchronous = normal",
        "PRAGMA synchronous = full",
    ]
    assert await database.read(names) == ["a", "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="files have no mode there")
async def test_the_files_are_for_their_owner_alone(path: Path) -> None:
    path.parent.chmod(0o755)
    before = os.umask(0o022)
    try:
        database = Database(path)
        database.open()
        await database.write(putting("k"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await database.close()
    finally:
        os.umask(before)
    files = dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)
    assert modes == files | {f"{path.name}-bells": 0o700}


async def test_a_database_in_memory_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = Database(Path(":memory:"), inline=True)
    opened.open()
    await opened.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a look at the disk, which may block


async def test_a_survey_that_takes_long_holds_up_no_reader(database: Database) -> None:
    began, go_on = threading.Event(), threading.Event()

    def count(connection: sqlite3.Connection) -> int:
        began.set()
        go_on.wait(30)
        return len(names(connection))

    surveying = asyncio.create_task(database.survey(count))
    await asyncio.to_thread(began.wait, 30)
    assert await database.read(names) == []
    await database.write(putting("a"))
    assert await database.read(names) == ["a"]
    go_on.set()
    assert await surveying == 1
