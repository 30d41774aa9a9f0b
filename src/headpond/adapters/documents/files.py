"""What is known of files, in a table of documents."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, up_to
from headpond.adapters.documents.records import agenda_of
from headpond.adapters.documents.table import (
    Delete,
    Item,
    Key,
    Put,
    Table,
    at,
    just_after,
    raw,
    shard_of,
)
from headpond.domain.file import BlobName, File, FileId
from headpond.ports.files import FileQuery, FileStore

AT_ONCE = 100

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(File).decode


class DocumentFileStore(FileStore):
    """A file and the note that its blob is named are written together."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def put(self, file: File) -> bool:
        before = await self.get(file.id)
        if before is not None and before.blob == file.blob:
            return not await self._table.write(Put(_item(file)))
        named = Put({"pk": f"blob#{file.blob}", "sk": "-", "file": file.id}, absent=True)
        forgotten = [] if before is None else [Delete(Key(f"blob#{before.blob}"))]
        return not await self._table.write(Put(_item(file)), named, *forgotten)

    @override
    async def get(self, file_id: FileId) -> File | None:
        item = await self._table.get(Key(f"file#{file_id}"))
        return None if item is None else _file_of(item)

    @override
    async def find(self, query: FileQuery) -> list[File]:
        found: list[File] = []
        async for file in self._listed(query):
            wanted = query.purpose is None or file.purpose == query.purpose
            if wanted and not file.expired(query.now):
                found.append(file)
            if len(found) == query.limit:
                break
        return found

    @override
    async def expired(self, now: float, limit: int) -> list[File]:
        keys = await up_to(agenda(self._table, "file", before=just_after(now)), limit)
        items = await self._table.get_many(keys)
        files = [_file_of(items[key.pk]) for key in keys if key.pk in items]
        return [file for file in files if file.expired(now)]

    @override
    async def remove(self, file_id: FileId) -> bool:
        file = await self.get(file_id)
        if file is None:
            return False
        await self._table.write(Delete(Key(f"file#{file_id}")), Delete(Key(f"blob#{file.blob}")))
        return True

    @override
    async def disown(self, blobs: list[BlobName]) -> list[BlobName]:
        disowned = await asyncio.gather(*(self._disown(blob) for blob in blobs))
        return [blob for blob, is_disowned in zip(blobs, disowned, strict=True) if is_disowned]

    @override
    async def stored_bytes(self, team: str, now: float) -> int:
        query = FileQuery(team=team, now=now, limit=AT_ONCE)
        return sum([file.size async for file in self._listed(query) if not file.expired(now)])

    async def _disown(self, blob: BlobName) -> bool:
        """The note that a blob has no file stays, so that none can name it any more."""
        key = Key(f"blob#{blob}")
        nobody = Put({"pk": key.pk, "sk": key.sk, "file": ""}, absent=True)
        if not await self._table.write(nobody):
            return True
        item = await self._table.get(key)
        return item is not None and item["file"] == ""

    async def _listed(self, query: FileQuery) -> AsyncIterator[File]:
        last = None if query.after is None else await self.get(query.after)
        if query.after is not None and last is None:
            return
        bound = "" if last is None else _name(last)
        keys = self._table.look(
            "family",
            f"files#{query.team}",
            after=bound if query.oldest_first else "",
            before="" if query.oldest_first else bound,
            reverse=not query.oldest_first,
        )
        while some := await up_to(keys, query.limit):
            items = await self._table.get_many(some)
            for key in some:
                if key.pk in items:
                    yield _file_of(items[key.pk])


def _item(file: File) -> Item:
    item: Item = {
        "pk": f"file#{file.id}",
        "sk": "-",
        "family": f"files#{file.team}",
        "name": _name(file),
        "record": _encode(file),
    }
    if file.expires_at is not None:
        item |= {"agenda": agenda_of("file", shard_of(file.id)), "at": at(file.expires_at, file.id)}
    return item


def _name(file: File) -> str:
    return at(file.created_at, file.id)


def _file_of(item: Item) -> File:
    return _decode(raw(item))
