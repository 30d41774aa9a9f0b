"""Files are kept, expire, and leave nothing behind. SPEC G2."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from headpond.adapters.memory.files import MemoryFileStore
from headpond.domain.file import BlobName, File, Purpose, is_blob_name
from headpond.domain.identity import Identity
from headpond.errors import InvalidRequest, NotFound, Unavailable
from headpond.services.files import FORSAKEN_S, About
from headpond.testing.batches_suite import a_batch
from headpond.testing.files_suite import a_file
from tests.stages import MAX_TEAM_BYTES, Stage

TEAM = Identity("team")


async def pieces() -> AsyncIterator[bytes]:
    yield b"{}\n"


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_file_expires_and_its_bytes_go_with_it(stage: Stage) -> None:
    about = About("a.jsonl", Purpose.BATCH, ttl_s=3_600.0)
    file = await stage.files.store(pieces(), lambda: about, TEAM)
    assert is_blob_name(file.blob)
    stage.manual.advance(3_599)
    await stage.files.remove_old()
    assert await stage.files.file(file.id, TEAM) == file

    stage.manual.advance(1)
    with pytest.raises(NotFound):
        await stage.files.file(file.id, TEAM)
    await stage.files.remove_old()
    assert await stage.file_store.get(file.id) is None
    assert await stage.blobs.written_before(stage.clock.now() + 1) == []


async def test_an_input_outlives_its_time_while_a_batch_reads_it(stage: Stage) -> None:
    file = a_file(1, expires_at=stage.clock.now())
    batch = a_batch(input_file=file.id)
    await stage.file_store.put(file)
    await stage.batch_store.add(batch)
    await stage.files.remove_old()
    assert await stage.file_store.get(file.id) == file

    await stage.batch_store.swap(batch.refused(stage.clock.now(), []))
    await stage.files.remove_old()
    assert await stage.file_store.get(file.id) is None


async def test_uploads_at_one_moment_do_not_pass_the_bound_together(stage: Stage) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * (MAX_TEAM_BYTES - 10)
        begun.set()
        await go_on.wait()

    async def quick() -> AsyncIterator[bytes]:
        yield b"x" * 11

    about = About("input.jsonl", Purpose.BATCH)
    uploading = asyncio.create_task(stage.files.store(slow(), lambda: about, TEAM))
    await begun.wait()
    with pytest.raises(InvalidRequest, match="max_team_bytes"):
        await stage.files.store(quick(), lambda: about, TEAM)
    await stage.files.store(quick(), lambda: about, Identity("other"))
    go_on.set()
    assert (await uploading).size == MAX_TEAM_BYTES - 10


async def test_an_upload_that_slept_too_long_names_no_bytes_that_were_swept(stage: Stage) -> None:
    class Sleepy(MemoryFileStore):
        @override
        async def put(self, file: File) -> bool:
            stage.manual.advance(FORSAKEN_S + 1)
            await stage.files.remove_old()
            return await super().put(file)

    stage.files._store = Sleepy()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(Unavailable, match="try again"):
        await stage.files.store(pieces(), lambda: About("a", Purpose.BATCH), TEAM)


async def test_bytes_that_nobody_names_are_swept_when_their_writer_must_be_gone(
    stage: Stage,
) -> None:
    async with stage.blobs.create(BlobName("left")) as blob:
        await blob.write(b"half of something")
    stage.manual.advance(FORSAKEN_S)
    await stage.files.remove_old()
    assert await stage.blobs.written_before(stage.clock.now() + 1) == ["left"]

    stage.manual.advance(1)
    await stage.files.remove_old()
    assert await stage.blobs.written_before(stage.clock.now() + 1) == []
