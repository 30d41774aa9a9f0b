"""Bells between processes: each is heard, and what is wrong with one holds up nobody."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from headpond.adapters.sqlite import database as database_module
from headpond.adapters.sqlite.bells import Bells
from headpond.adapters.sqlite.database import Database
from tests.unit.adapters.sqlite.conftest import Script

Hang = Callable[[], Bells]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bells"


@pytest.fixture
def hang(folder: Path) -> Generator[Hang]:
    """Another process's bell, as it were."""
    hung: list[Bells] = []

    def another() -> Bells:
        bells = Bells(folder)
        assert bells.hang_up()
        hung.append(bells)
        return bells

    yield another
    for bells in hung:
        bells.take_down()


def names(folder: Path) -> set[str]:
    return {bell.name for bell in folder.iterdir()}


async def heard(bells: Bells) -> bool:
    """Whether it rings now, or has since nobody listened."""
    loop, rings = asyncio.get_running_loop(), asyncio.Event()
    bells.listen(loop, rings.set)
    try:
        await asyncio.sleep(0.02)
        return rings.is_set()
    finally:
        bells.mute(loop)


async def test_all_bells_ring_but_ones_own(hang: Hang) -> None:
    ours, others = hang(), [hang(), hang()]
    ours.ring()
    assert [await heard(bells) for bells in (ours, *others)] == [False, True, True]
    assert not await heard(others[0])


async def test_a_bell_that_is_hung_up_later_rings(hang: Hang) -> None:
    ours = hang()
    for _ in range(3):
        other = hang()
        ours.ring()
        assert await heard(other)


async def test_a_bell_that_nobody_hears_is_full_and_rings(hang: Hang, folder: Path) -> None:
    ours, other = hang(), hang()
    ours.ring()
    pipe = os.open(folder / other.name, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(4096))
    os.close(pipe)
    ours.ring()
    assert await heard(other)
    ours.ring()
    assert await heard(other)


async def test_a_bell_that_was_taken_down_is_forgotten(hang: Hang, folder: Path) -> None:
    ours, other, third = hang(), hang(), hang()
    ours.ring()
    other.take_down()
    ours.ring()
    assert await heard(third)
    assert names(folder) == {ours.name, third.name}


@pytest.mark.parametrize("rung", [False, True])
async def test_the_bell_of_a_killed_process_is_removed(
    rung: bool, hang: Hang, folder: Path, process: Script
) -> None:
    other = process("""
from headpond.adapters.sqlite.bells import Bells
bells = Bells(path.parent / "bells")
assert bells.hang_up()
print("hung", flush=True)
sys.stdin.read()
""")
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "hung\n"
    ours = hang()
    if rung:
        ours.ring()
    other.send_signal(signal.SIGKILL)
    other.wait()
    ours.ring()
    assert names(folder) == {ours.name}


async def test_a_folder_that_is_gone_holds_up_nobody(hang: Hang, folder: Path) -> None:
    ours, other = hang(), hang()
    ours.ring()
    assert await heard(other)
    shutil.rmtree(folder)
    ours.ring()
    assert await heard(other)  # the pipe is there as long as somebody has it open


def refuse(*_: object) -> None:
    raise OSError("no pipes here")


async def test_where_there_are_no_pipes_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkfifo", refuse)
    bells = Bells(folder)
    assert not bells.hang_up()
    bells.ring()
    assert not await heard(bells)
    assert names(folder) == set()


COMMITS = """
async def main():
    database = Database(path)
    database.open()
    print("ready", flush=True)
    number = 0
    while await asyncio.to_thread(sys.stdin.readline):
        number += 1
        row = ("team", str(number), "", "", 0)
        await database.write(
            lambda connection: connection.execute(
                "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?)", row
            ).rowcount
        )

asyncio.run(main())
"""


async def test_a_commit_of_another_process_is_heard_without_a_look(
    database: Database, process: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = process(COMMITS)
    assert other.stdout is not None
    assert other.stdin is not None
    await asyncio.to_thread(other.stdout.readline)
    await database.wait_for_commit(database.commits, 0.1)  # the last look
    monkeypatch.setattr(database_module, "WATCH_WITH_BELLS_S", 3_600.0)
    for _ in range(10):
        seen = database.commits
        waiting = asyncio.create_task(database.wait_for_commit(seen, 30))
        other.stdin.write("\n")
        other.stdin.flush()
        await waiting
        assert database.commits > seen


async def test_without_bells_a_commit_of_another_process_is_seen(
    path: Path, process: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkfifo", refuse)
    monkeypatch.setattr(database_module, "WATCH_WITH_BELLS_S", 3_600.0)
    database = Database(path)
    database.open()
    other = process(COMMITS)
    assert other.stdout is not None
    assert other.stdin is not None
    await asyncio.to_thread(other.stdout.readline)
    for _ in range(10):
        waiting = asyncio.create_task(database.wait_for_commit(database.commits, 30))
        other.stdin.write("\n")
        other.stdin.flush()
        await asyncio.wait_for(waiting, 20)
    await database.close()
