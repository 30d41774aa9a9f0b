"""Bells between processes: each is heard, and what is wrong with one holds up nobody."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from headpond.adapters.sqlite import bells as bells_module
from headpond.adapters.sqlite import database as database_module
from headpond.adapters.sqlite.bells import Bells
from headpond.adapters.sqlite.connection import Operation
from headpond.adapters.sqlite.database import Database
from tests.unit.adapters.sqlite.conftest import Script
from tests.unit.adapters.sqlite.test_processes import wait_for_keys

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
        bells.hang_up()
        assert bells.hangs
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


async def test_a_bell_that_nobody_can_ring_any_more_is_silent(hang: Hang) -> None:
    ours, other = hang(), hang()
    other.ring()
    assert await heard(ours)
    other.take_down()  # the last who had it open to write
    assert not await heard(ours)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_nothing_stays_open(hang: Hang, folder: Path) -> None:
    before = open_files()
    ours, other, third = hang(), hang(), hang()
    for bells in (ours, other, third):
        bells.ring()
    other.take_down()
    ours.ring()
    for bells in (ours, third):
        bells.take_down()
    assert open_files() == before
    assert names(folder) == set()


async def test_what_is_no_bell_is_left_alone(hang: Hang, folder: Path) -> None:
    ours, other = hang(), hang()
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_bytes(b"text")
    (folder / "file").write_bytes(b"text")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(elsewhere)
    for _ in range(2):
        ours.ring()
    assert await heard(other)
    assert (folder / "file").read_bytes() == elsewhere.read_bytes() == b"text"


async def test_a_bell_that_could_not_be_opened_is_opened_later(
    hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells_module, "SETTLED_NS", -1)
    ours, other = hang(), hang()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        ours.ring()
    assert not await heard(other)
    ours.ring()
    assert await heard(other)


async def test_a_pipe_that_fails_otherwise_ends_no_writer(
    hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = hang(), hang()
    ours.ring()
    assert await heard(other)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        ours.ring()
    assert other.hangs


@pytest.mark.parametrize("rung", [False, True])
async def test_the_bell_of_a_killed_process_is_removed(
    rung: bool, hang: Hang, folder: Path, process: Script
) -> None:
    other = process("""
from headpond.adapters.sqlite.bells import Bells
bells = Bells(path.parent / "bells")
bells.hang_up()
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
    assert not ours.hangs
    ours.ring()
    assert await heard(other)  # the pipe is there as long as somebody has it open


def refuse(*_: object) -> None:
    raise OSError("no pipes here")


@pytest.mark.parametrize("step", ["mkfifo", "open"])
async def test_where_there_are_no_pipes_nothing_is_left(
    step: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bells = Bells(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        bells.hang_up()
    assert not bells.hangs
    bells.ring()
    assert not await heard(bells)
    assert names(folder) == set()


def putting(key: str) -> Operation[int]:
    row = ("team", key, "", "", 0)
    return lambda connection: (
        connection.execute("INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?)", row).rowcount
    )


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
    for number in range(1, 11):
        waiting = asyncio.create_task(wait_for_keys(database, database.commits, number))
        other.stdin.write("\n")
        other.stdin.flush()
        await asyncio.wait_for(waiting, 20)


async def test_what_changes_nothing_rings_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[Bells] = []

    def ring(bells: Bells) -> None:
        rings.append(bells)

    monkeypatch.setattr(Bells, "ring", ring)
    await database.write(lambda _: None)
    assert rings == []
    await database.write(putting("key"))
    assert len(rings) == 1


async def test_a_file_is_rung_by_whichever_way_it_was_found(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = path.parent / "link.db"
    link.symlink_to(path)
    other = Database(link)
    other.open()
    await database.wait_for_commit(database.commits, 0.1)
    monkeypatch.setattr(database_module, "WATCH_WITH_BELLS_S", 3_600.0)
    await asyncio.sleep(0.1)
    seen = database.commits
    await other.write(putting("key"))
    await asyncio.wait_for(wait_for_keys(database, seen, 1), 20)
    await other.close()


async def test_whoever_waits_when_it_is_closed_goes_on_waiting(
    database: Database, path: Path
) -> None:
    waiting = asyncio.create_task(database.wait_for_commit(database.commits, 0.1))
    await asyncio.sleep(0)
    await database.close()
    await waiting
    assert names(path.with_name(f"{path.name}-bells")) == set()


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
