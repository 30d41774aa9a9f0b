"""What every store of blobs must do. Subclass `BlobsSuite` and give it a `blobs` fixture."""

import math

import pytest

from headpond.domain.file import BlobName
from headpond.errors import NotFound
from headpond.ports.blobs import Blobs

NAME = BlobName("file-" + "1" * 32)
CONTENT = bytes(range(256)) * 4_096


async def content(blobs: Blobs, name: BlobName = NAME, offset: int = 0) -> bytes:
    """All bytes from there on."""
    return b"".join([piece async for piece in blobs.read(name, offset)])


class BlobsSuite:
    """The contract of `headpond.ports.blobs`. SPEC G2."""

    @pytest.fixture
    async def blobs(self) -> Blobs:
        raise NotImplementedError("give the suite a store of blobs")

    async def write(self, blobs: Blobs, *pieces: bytes) -> None:
        """Write a whole blob."""
        async with blobs.create(NAME) as blob:
            for piece in pieces:
                await blob.write(piece)

    async def test_what_was_written_is_read(self, blobs: Blobs) -> None:
        await self.write(blobs, CONTENT[:7], b"", CONTENT[7:])
        assert await content(blobs) == CONTENT
        assert await content(blobs, offset=1_000_000) == CONTENT[1_000_000:]
        assert await content(blobs, offset=len(CONTENT)) == b""

    async def test_a_blob_is_read_in_pieces(self, blobs: Blobs) -> None:
        await self.write(blobs, CONTENT)
        assert max([len(piece) async for piece in blobs.read(NAME)]) < len(CONTENT)

    async def test_a_blob_may_be_empty(self, blobs: Blobs) -> None:
        await self.write(blobs)
        assert await content(blobs) == b""

    async def test_a_blob_is_not_there_before_it_is_whole(self, blobs: Blobs) -> None:
        async with blobs.create(NAME) as blob:
            await blob.write(CONTENT)
            with pytest.raises(NotFound):
                await content(blobs)
        assert await content(blobs) == CONTENT

    async def test_a_writer_that_fails_leaves_nothing(self, blobs: Blobs) -> None:
        async def fail() -> None:
            async with blobs.create(NAME) as blob:
                await blob.write(CONTENT)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        with pytest.raises(NotFound):
            await content(blobs)
        assert await blobs.written_before(math.inf) == []

    async def test_a_blob_is_deleted(self, blobs: Blobs) -> None:
        await self.write(blobs, CONTENT)
        await blobs.delete(NAME)
        await blobs.delete(NAME)
        with pytest.raises(NotFound):
            await content(blobs)

    async def test_who_reads_reads_on_when_it_is_deleted(self, blobs: Blobs) -> None:
        await self.write(blobs, CONTENT)
        reading = blobs.read(NAME)
        first = await anext(reading)
        await blobs.delete(NAME)
        assert first + b"".join([piece async for piece in reading]) == CONTENT

    async def test_blobs_are_known_by_when_they_were_written(self, blobs: Blobs) -> None:
        assert await blobs.written_before(math.inf) == []
        await self.write(blobs, CONTENT)
        assert await blobs.written_before(0.0) == []
        assert await blobs.written_before(math.inf) == [NAME]
