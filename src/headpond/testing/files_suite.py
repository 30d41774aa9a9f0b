"""What every file store must do. Subclass `FileStoreSuite` and give it a `files` fixture."""

from typing import Any

import pytest

from headpond.domain.file import BlobName, File, FileId, Purpose
from headpond.ports.files import FileQuery, FileStore
from headpond.testing.records import LONGEST

NOW = 1_000_000.0


def a_file(number: int, **fields: Any) -> File:
    """A file that was made `number` seconds after the others."""
    given: dict[str, Any] = {
        "id": FileId(f"file-{number:032x}"),
        "blob": BlobName(f"blob-{number}"),
        "team": "team",
        "purpose": Purpose.BATCH,
        "filename": "input.jsonl",
        "size": number,
        "created_at": NOW + number,
    }
    return File(**(given | fields))


class FileStoreSuite:
    """The contract of `headpond.ports.files`. SPEC G2."""

    @pytest.fixture
    async def files(self) -> FileStore:
        raise NotImplementedError("give the suite a file store")

    async def test_a_file_is_found_by_its_id(self, files: FileStore) -> None:
        file = a_file(1, expires_at=NOW + 50, filename="ü.jsonl", purpose=Purpose.BATCH_OUTPUT)
        await files.put(file)
        assert await files.get(file.id) == file
        assert await files.get(a_file(2).id) is None

    @pytest.mark.parametrize("team", LONGEST)
    async def test_a_team_with_the_longest_name_has_files(
        self, files: FileStore, team: str
    ) -> None:
        file = a_file(1, team=team, filename="\u968a" * 255)
        await files.put(file)
        await files.put(a_file(2, team=team[:-1]))
        assert await files.find(FileQuery(team=team, now=NOW)) == [file]
        assert await files.stored_bytes(team, NOW) == file.size

    async def test_a_file_takes_the_place_of_the_one_with_its_id(self, files: FileStore) -> None:
        await files.put(a_file(1))
        await files.put(a_file(1, blob=BlobName("other"), size=7))
        assert await files.get(a_file(1).id) == a_file(1, blob=BlobName("other"), size=7)
        assert await files.find(FileQuery(team="team", now=NOW)) == [
            a_file(1, blob=BlobName("other"), size=7)
        ]

    async def test_files_are_listed_in_either_order(self, files: FileStore) -> None:
        for number in (2, 1, 3):
            await files.put(a_file(number))
        newest = FileQuery(team="team", now=NOW)
        oldest = FileQuery(team="team", now=NOW, oldest_first=True)
        assert await files.find(newest) == [a_file(3), a_file(2), a_file(1)]
        assert await files.find(oldest) == [a_file(1), a_file(2), a_file(3)]

    async def test_files_are_listed_in_pages(self, files: FileStore) -> None:
        for number in (1, 2, 3):
            await files.put(a_file(number, created_at=NOW))

        async def page(after: int | None, **more: Any) -> list[int]:
            last = None if after is None else a_file(after).id
            query = FileQuery(team="team", now=NOW, after=last, **more)
            return [file.size for file in await files.find(query)]

        assert await page(None, limit=2) == [3, 2]
        assert await page(2) == [1]
        assert await page(2, oldest_first=True) == [3]
        assert await page(9) == []

    async def test_a_list_is_of_one_team_and_purpose(self, files: FileStore) -> None:
        mine, output = a_file(1), a_file(2, purpose=Purpose.BATCH_OUTPUT)
        for file in (mine, output, a_file(3, team="other")):
            await files.put(file)
        query = FileQuery(team="team", now=NOW, purpose=Purpose.BATCH)
        assert await files.find(query) == [mine]
        assert await files.find(FileQuery(team="team", now=NOW)) == [output, mine]

    async def test_files_expire(self, files: FileStore) -> None:
        for number, ttl_s in ((1, 20), (2, 10), (3, None)):
            await files.put(a_file(number, expires_at=ttl_s and NOW + ttl_s))
        assert await files.expired(NOW + 9, 10) == []
        assert [file.size for file in await files.expired(NOW + 20, 10)] == [2, 1]
        assert [file.size for file in await files.expired(NOW + 20, 1)] == [2]
        left = await files.find(FileQuery(team="team", now=NOW + 10))
        assert [file.size for file in left] == [3, 1]

    async def test_a_file_is_removed_once(self, files: FileStore) -> None:
        await files.put(a_file(1))
        assert await files.remove(a_file(1).id)
        assert not await files.remove(a_file(1).id)
        assert await files.get(a_file(1).id) is None

    async def test_a_blob_that_is_disowned_is_never_named(self, files: FileStore) -> None:
        assert await files.put(a_file(1))
        named, unnamed = BlobName("blob-1"), BlobName("blob-2")
        for _ in range(2):
            assert await files.disown([named, unnamed]) == [unnamed]
        assert await files.disown([]) == []
        assert not await files.put(a_file(2))
        assert not await files.put(a_file(1, blob=unnamed))
        assert await files.find(FileQuery(team="team", now=NOW)) == [a_file(1)]
        assert await files.put(a_file(1, size=5))

    async def test_what_a_team_stores_is_counted(self, files: FileStore) -> None:
        assert await files.stored_bytes("team", NOW) == 0
        for number, fields in enumerate(
            [{}, {"expires_at": NOW + 10}, {"purpose": Purpose.BATCH_OUTPUT}, {"team": "other"}], 1
        ):
            await files.put(a_file(number, **fields))
        assert await files.stored_bytes("team", NOW + 9) == 1 + 2 + 3
        assert await files.stored_bytes("team", NOW + 10) == 1 + 3
