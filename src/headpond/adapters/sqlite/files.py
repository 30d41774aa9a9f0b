"""Records of files in a SQLite file."""

import json
import sqlite3
from typing import Any

from typing_extensions import override

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.file import BlobName, File, FileId, Purpose
from headpond.ports.files import FileQuery, FileStore


class SqliteFileStore(FileStore):
    """Files of every process that opens the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def put(self, file: File) -> bool:
        row = (
            file.id,
            file.blob,
            file.team,
            file.purpose.value,
            file.filename,
            file.size,
            file.created_at,
            file.expires_at,
        )
        stored = await self._database.write(
            lambda connection: connection.execute(sql("put_file"), row).rowcount
        )
        return stored > 0

    @override
    async def get(self, file_id: FileId) -> File | None:
        files = await self._database.read(
            lambda connection: _files(connection.execute(sql("get_file"), (file_id,)))
        )
        return files[0] if files else None

    @override
    async def find(self, query: FileQuery) -> list[File]:
        statement = sql("find_files_oldest" if query.oldest_first else "find_files_newest")
        parameters = {
            "team": query.team,
            "now": query.now,
            "purpose": None if query.purpose is None else query.purpose.value,
            "after": query.after,
            "limit": query.limit,
        }
        return await self._database.read(
            lambda connection: _files(connection.execute(statement, parameters))
        )

    @override
    async def expired(self, now: float, limit: int) -> list[File]:
        parameters = {"now": now, "limit": limit}
        return await self._database.read(
            lambda connection: _files(connection.execute(sql("expired_files"), parameters))
        )

    @override
    async def remove(self, file_id: FileId) -> bool:
        removed = await self._database.write(
            lambda connection: connection.execute(sql("remove_file"), (file_id,)).rowcount
        )
        return removed > 0

    @override
    async def disown(self, blobs: list[BlobName]) -> list[BlobName]:
        if not blobs:
            return []

        def disown(connection: sqlite3.Connection) -> list[BlobName]:
            rows = connection.execute(sql("unnamed_blobs"), (json.dumps(blobs),)).fetchall()
            connection.executemany(sql("disown_blob"), rows)
            return [BlobName(name) for (name,) in rows]

        return await self._database.write(disown)

    @override
    async def stored_bytes(self, team: str, now: float) -> int:
        parameters = {"team": team, "now": now}
        (size,) = await self._database.read(
            lambda connection: connection.execute(sql("stored_bytes"), parameters).fetchone()
        )
        return size


def _files(cursor: sqlite3.Cursor) -> list[File]:
    return [_file(row) for row in cursor]


def _file(row: tuple[Any, ...]) -> File:
    file_id, blob, team, purpose, filename, size, created_at, expires_at = row
    return File(
        id=FileId(file_id),
        blob=BlobName(blob),
        team=team,
        purpose=Purpose(purpose),
        filename=filename,
        size=size,
        created_at=created_at,
        expires_at=expires_at,
    )
