"""What every object store must do. Subclass `ObjectsSuite` and give it an `objects` fixture."""

import asyncio

import pytest

from headpond.domain.archive import ObjectName, Place, Planned, version_folder
from headpond.ports.objects import ObjectStore

A = ObjectName("data/team=a%2Fb%20%C3%BC/day=2030-01-31/120000-0.jsonl.gz")
B = ObjectName("data/team=b/day=2030-01-31/120000-0.parquet")
CURSOR = ObjectName("cursor.json")


LONGEST = Place("2030-01-31", "\u968a" * 256, "a" * 256)


class ObjectsSuite:
    """The contract of `headpond.ports.objects`."""

    @pytest.fixture
    async def objects(self) -> ObjectStore:
        raise NotImplementedError("give the suite a store with nothing in it")

    async def test_what_was_put_is_there_until_it_is_put_again(self, objects: ObjectStore) -> None:
        assert await objects.get(A) is None
        for data in (b"one", b"two" * 100_000, b""):
            await objects.put(A, data)
            assert await objects.get(A) == data

    async def test_the_longest_names_of_the_archive_have_room(self, objects: ObjectStore) -> None:
        planned = Planned(LONGEST, version_folder("v" * 256) + "235959-9999", ())
        name = planned.object_name("jsonl.gz")
        assert await objects.put_new(name, b"x")
        assert await objects.get(name) == b"x"
        assert {found async for found in objects.names("data/")} == {name}
        await objects.delete(name)
        assert await objects.get(name) is None

    async def test_what_is_there_is_not_put_as_new(self, objects: ObjectStore) -> None:
        assert await objects.put_new(CURSOR, b"one")
        assert not await objects.put_new(CURSOR, b"two")
        assert await objects.get(CURSOR) == b"one"

    async def test_of_several_at_once_one_is_new(self, objects: ObjectStore) -> None:
        texts = [f"{number}".encode() for number in range(8)]
        told = await asyncio.gather(*(objects.put_new(CURSOR, text) for text in texts))
        assert sum(told) == 1
        assert await objects.get(CURSOR) == texts[told.index(True)]

    async def test_names_are_listed_by_what_they_begin_with(self, objects: ObjectStore) -> None:
        for name in (A, B, CURSOR):
            await objects.put(name, b"x")
        assert {name async for name in objects.names("data/")} == {A, B}
        assert {name async for name in objects.names("")} == {A, B, CURSOR}
        assert {name async for name in objects.names("plans/")} == set()

    async def test_what_is_deleted_is_gone_and_may_be_deleted_again(
        self, objects: ObjectStore
    ) -> None:
        await objects.put(A, b"x")
        await objects.put(B, b"x")
        await objects.delete(A)
        await objects.delete(A)
        assert await objects.get(A) is None
        assert {name async for name in objects.names("")} == {B}
        assert await objects.put_new(A, b"new")
