"""API keys in a SQLite file."""

import sqlite3
from typing import Any

import msgspec
from typing_extensions import override

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.identity import ApiKey, KeyId, Limits, Role
from headpond.ports.keys import KeyStore


class SqliteKeyStore(KeyStore):
    """Keys of every process that opens the file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, key: ApiKey) -> None:
        limits = None if key.limits is None else msgspec.json.encode(key.limits).decode()
        row = (
            key.id,
            key.digest,
            key.hint,
            key.team,
            key.feature,
            limits,
            key.role.value,
            key.created_at,
            key.revoked_at,
        )
        await self._database.write(lambda connection: connection.execute(sql("add_api_key"), row))

    @override
    async def find(self, digest: str) -> ApiKey | None:
        keys = await self._database.read(
            lambda connection: _keys(connection.execute(sql("find_api_key"), (digest,)))
        )
        return keys[0] if keys else None

    @override
    async def all(self) -> list[ApiKey]:
        return await self._database.read(
            lambda connection: _keys(connection.execute(sql("all_api_keys")))
        )

    @override
    async def revoke(self, key_id: KeyId, now: float) -> bool:
        changed = await self._database.write(
            lambda connection: connection.execute(sql("revoke_api_key"), (now, key_id)).rowcount
        )
        return changed > 0


def _keys(cursor: sqlite3.Cursor) -> list[ApiKey]:
    return [_key(row) for row in cursor]


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, digest, hint, team, feature, limits, role, created_at, revoked_at = row
    return ApiKey(
        id=KeyId(key_id),
        digest=digest,
        hint=hint,
        team=team,
        feature=feature,
        limits=None if limits is None else msgspec.json.decode(limits, type=Limits),
        role=Role(role),
        created_at=created_at,
        revoked_at=revoked_at,
    )
