"""Files are kept, expire, and leave nothing behind. SPEC G2."""

from collections.abc import AsyncIterator

import pytest

from headpond.domain.file import BlobName, Purpose
from headpond.domain.identity import Identity
from headpond.errors import NotFound
from headpond.services.files import FORSAKEN_S, About
from headpond.testing.batches_suite import a_batch
from headpond.testing.files_suite import a_file
from tests.stages import Stage

TEAM = Identity("team")


async def pieces() -> AsyncIterator[bytes]:
    yield b"{}\n"


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_file_expires_and_its_bytes_go_with_it(stage: Stage) -> None:
    about = About("a.jsonl", Purpose.BATCH, ttl_s=3_600.0)
    file = await stage.files.store(pieces(), lambda: about, TEAM)
    stage.manual.advance(3_599)
    await stage.files.sweep()
    assert await stage.files.file(file.id, TEAM) == file

    stage.manual.advance(1)
    with pytest.raises(NotFound):
        await stage.files.file(file.id, TEAM)
    await stage.files.sweep()
    assert await stage.file_store.get(file.id) is None
    assert await stage.blobs.written_before(stage.clock.now() + 1) == []


async def test_an_input_outlives_its_time_while_a_batch_reads_it(stage: Stage) -> None:
    file = a_file(1, expires_at=stage.clock.now())
    batch = a_batch(input_file=file.id)
    await stage.file_store.put(file)
    await stage.batch_store.add(batch)
    await stage.files.sweep()
    assert await stage.file_store.get(file.id) == file

    await stage.batch_store.swap(batch.refused(stage.clock.now(), []))
    await stage.files.sweep()
    assert await stage.file_store.get(file.id) is None


async def test_bytes_that_nobody_names_are_swept_when_their_writer_must_be_gone(
    stage: Stage,
) -> None:
    async with stage.blobs.create(BlobName("left")) as blob:
        await blob.write(b"half of something")
    stage.manual.advance(FORSAKEN_S)
    await stage.files.sweep()
    assert await stage.blobs.written_before(stage.clock.now() + 1) == ["left"]

    stage.manual.advance(1)
    await stage.files.sweep()
    assert await stage.blobs.written_before(stage.clock.now() + 1) == []
