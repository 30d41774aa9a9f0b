"""Records of files in a PostgreSQL database."""

from collections.abc import Iterable

from typing_extensions import override

from headpond.adapters.postgres.connection import Connection, Row, run
from headpond.adapters.postgres.database import Database
from headpond.domain.file import BlobName, File, FileId, Purpose
from headpond.ports.files import FileQuery, FileStore


class PostgresFileStore(FileStore):
    """Files of every process that opens the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def put(self, file: File) -> bool:
        async def put(connection: Connection) -> bool:
            await run(connection, "lock_blobs", [file.blob])
            stored = await run(
                connection,
                "put_file",
                file.id,
                file.blob,
                file.team,
                file.purpose.value,
                file.filename,
                file.size,
                file.created_at,
                file.expires_at,
            )
            return bool(stored)

        return await self._database.transaction(put)

    @override
    async def get(self, file_id: FileId) -> File | None:
        files = _files(await self._database.read("get_file", file_id))
        return files[0] if files else None

    @override
    async def find(self, query: FileQuery) -> list[File]:
        statement = "find_files_oldest" if query.oldest_first else "find_files_newest"
        purpose = None if query.purpose is None else query.purpose.value
        return _files(
            await self._database.read(
                statement, query.team, purpose, query.now, query.after, query.limit
            )
        )

    @override
    async def expired(self, now: float, limit: int) -> list[File]:
        return _files(await self._database.read("expired_files", now, limit))

    @override
    async def remove(self, file_id: FileId) -> bool:
        return bool(await self._database.write("remove_file", file_id))

    @override
    async def disown(self, blobs: list[BlobName]) -> list[BlobName]:
        async def disown(connection: Connection) -> list[BlobName]:
            await run(connection, "lock_blobs", blobs)
            rows = await run(connection, "disown_blobs", blobs)
            return [BlobName(name) for (name,) in rows]

        return await self._database.transaction(disown) if blobs else []

    @override
    async def stored_bytes(self, team: str, now: float) -> int:
        ((size,),) = await self._database.read("stored_bytes", team, now)
        return size


def _files(rows: Iterable[Row]) -> list[File]:
    return [
        File(
            id=FileId(file_id),
            blob=BlobName(blob),
            team=team,
            purpose=Purpose(purpose),
            filename=filename,
            size=size,
            created_at=created_at,
            expires_at=expires_at,
        )
        for file_id, blob, team, purpose, filename, size, created_at, expires_at in rows
    ]
