"""Blobs in a folder keep the contract, with threads and inline, and do what only disks do."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from typing_extensions import override

from headpond.adapters.local.blobs import LocalBlobs
from headpond.errors import Unavailable
from headpond.testing.blobs_suite import CONTENT, NAME, BlobsSuite, content


@pytest.fixture(params=["threads", "inline"])
def local(tmp_path: Path, request: pytest.FixtureRequest) -> LocalBlobs:
    return LocalBlobs(tmp_path / "files", inline=request.param == "inline")


class TestLocalBlobs(BlobsSuite):
    @pytest.fixture
    @override
    async def blobs(self, local: LocalBlobs) -> LocalBlobs:  # pyright: ignore[reportIncompatibleMethodOverride]
        return local


async def test_what_a_dead_process_left_is_known_and_deleted(
    local: LocalBlobs, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / f"{NAME}.part").write_bytes(b"half")

    assert await local.written_before(2**40) == [NAME]
    await local.delete(NAME)
    assert await local.written_before(2**40) == []


async def test_what_is_no_blob_is_left_alone(local: LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "files" / "data").mkdir(parents=True)
    for name in ("cursor.json", "file-1", f"{NAME}.jsonl.gz"):
        (tmp_path / "files" / name).write_bytes(b"x")

    assert await local.written_before(2**40) == []


async def test_a_blob_is_for_its_owners_eyes_alone(local: LocalBlobs, tmp_path: Path) -> None:
    async with local.create(NAME) as blob:
        await blob.write(CONTENT)

    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "files" / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["write", "fsync"])
async def test_a_full_disk_is_said_and_leaves_nothing(
    local: LocalBlobs, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def write() -> None:
        async with local.create(NAME) as blob:
            monkeypatch.setattr(os, call, full)
            await blob.write(CONTENT)

    with pytest.raises(Unavailable) as raised:
        await write()
    assert raised.value.code == "storage_full"
    assert await local.written_before(2**40) == []


async def test_a_folder_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")

    with pytest.raises(Unavailable) as raised:
        async with LocalBlobs(tmp_path / "files").create(NAME):
            pass

    assert raised.value.code == "storage_unavailable"


async def test_a_writer_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "files")
    written = asyncio.Event()

    async def write() -> None:
        async with blobs.create(NAME) as blob:
            while True:
                await blob.write(CONTENT)
                written.set()

    writing = asyncio.create_task(write())
    await written.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await blobs.written_before(2**40) == []


async def test_a_reader_that_leaves_closes_the_file(local: LocalBlobs) -> None:
    async with local.create(NAME) as blob:
        await blob.write(CONTENT)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the kernel's, not a folder
    reading = local.read(NAME)
    await anext(reading)
    await reading.aclose()

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert await content(local) == CONTENT
