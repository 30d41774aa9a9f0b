"""The file of answers may be damaged, deleted, full or of another release: nothing comes of it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headpond.adapters.sqlite.cache import APPLICATION_ID, SqliteAnswerCache
from headpond.errors import SettingsError, Unavailable
from headpond.testing.cache_suite import KEEP_S, ROOM, a_name
from headpond.testing.clocks import ManualClock

SOON_S = 5.0
"""Far more than the cache waits for a lock, and far less than the store."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
async def cache(path: Path) -> AsyncIterator[SqliteAnswerCache]:
    opened = SqliteAnswerCache(path, ManualClock(), max_bytes=ROOM)
    yield opened
    await opened.close()
    await opened.close()


def told(path: Path, *statements: str) -> list[Any]:
    """What the last statement says, or nothing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchone() for statement in statements][-1]


def mode(path: Path) -> int | None:
    return path.stat().st_mode & 0o777 if path.exists() else None


def damage(path: Path) -> None:
    """Put something else in the file's place, and nothing beside it."""
    for each in path.parent.iterdir():
        each.unlink()
    path.write_bytes(b"no database" * 1_000)


def delete(path: Path) -> None:
    path.unlink()


async def test_it_is_made_when_it_is_used_and_for_its_owner_alone(
    cache: SqliteAnswerCache, path: Path
) -> None:
    assert mode(path) is None
    await cache.put(a_name(1), b"answer", KEEP_S)
    assert mode(path) == 0o600
    assert told(path, "PRAGMA application_id") == (APPLICATION_ID,)


async def test_the_file_does_not_grow_above_its_bound(cache: SqliteAnswerCache, path: Path) -> None:
    for number in range(400):
        await cache.put(a_name(number), bytes(500 + 37 * number % 3_000), KEEP_S)
    assert await cache.get(a_name(399)) is not None
    await cache.close()
    (pages,), (page_bytes,) = told(path, "PRAGMA page_count"), told(path, "PRAGMA page_size")
    assert pages * page_bytes < 1.2 * ROOM


async def test_what_another_release_kept_is_not_there(path: Path) -> None:
    clock = ManualClock()
    earlier = SqliteAnswerCache(path, clock, max_bytes=ROOM)
    await earlier.put(a_name(1), b"answer", KEEP_S)
    await earlier.close()
    told(path, "PRAGMA user_version = 99")
    later = SqliteAnswerCache(path, clock, max_bytes=ROOM)
    assert await later.get(a_name(1)) is None
    await later.put(a_name(1), b"answer", KEEP_S)
    assert await later.get(a_name(1)) == b"answer"
    await later.close()


async def test_a_database_of_something_else_is_left_as_it_is(
    cache: SqliteAnswerCache, path: Path
) -> None:
    told(path, "CREATE TABLE answers (precious)", "INSERT INTO answers VALUES (1)")
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"something else. Choose another `cache.url`"):
            await cache.put(a_name(1), b"answer", KEEP_S)
    assert told(path, "SELECT precious FROM answers") == (1,)


async def test_a_damaged_file_is_away_until_it_is_deleted(
    cache: SqliteAnswerCache, path: Path
) -> None:
    await cache.put(a_name(1), b"answer", KEEP_S)
    await cache.close()
    damage(path)
    again = SqliteAnswerCache(path, ManualClock(), max_bytes=ROOM)
    with pytest.raises(SettingsError, match="cannot be used"):
        await again.get(a_name(1))
    delete(path)
    assert await again.get(a_name(1)) is None
    await again.close()


async def test_a_table_that_is_damaged_while_it_is_open_is_unavailable(
    cache: SqliteAnswerCache, path: Path
) -> None:
    await cache.put(a_name(1), b"answer", KEEP_S)
    told(path, "DROP TABLE answers", "PRAGMA user_version = 0")
    with pytest.raises(Unavailable):
        await cache.get(a_name(1))
    assert await cache.get(a_name(1)) is None


@pytest.mark.parametrize("opened_before", [True, False])
async def test_who_holds_the_lock_keeps_writers_away_for_a_moment_and_readers_not_at_all(
    cache: SqliteAnswerCache, path: Path, opened_before: bool
) -> None:
    await cache.put(a_name(1), b"answer", KEEP_S)
    other = cache if opened_before else SqliteAnswerCache(path, ManualClock(), max_bytes=ROOM)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(SOON_S):
            assert await other.get(a_name(1)) == b"answer"
            for call in (other.put(a_name(2), b"answer", KEEP_S), other.forget()):
                with pytest.raises(Unavailable):
                    await call
            assert await other.get(a_name(1)) == b"answer"
            await other.close()


async def test_a_new_file_that_is_locked_is_given_up_as_soon(
    cache: SqliteAnswerCache, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        async with asyncio.timeout(SOON_S):
            with pytest.raises(Unavailable):
                await cache.put(a_name(1), b"answer", KEEP_S)
            await cache.close()


async def test_workers_that_open_it_at_once_do_not_harm_each_other(path: Path) -> None:
    caches = [SqliteAnswerCache(path, ManualClock(), max_bytes=ROOM) for _ in range(8)]
    await asyncio.gather(
        *(cache.put(a_name(number), b"answer", KEEP_S) for number, cache in enumerate(caches))
    )
    got = [await caches[0].get(a_name(number)) for number in range(8)]
    assert got == [b"answer"] * 8
    for cache in caches:
        await cache.close()
