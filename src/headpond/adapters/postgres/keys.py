"""API keys in a PostgreSQL database."""

from collections.abc import Iterable

import msgspec
from typing_extensions import override

from headpond.adapters.postgres.connection import Row
from headpond.adapters.postgres.database import Database
from headpond.domain.identity import ApiKey, KeyId, Limits, Role
from headpond.ports.keys import KeyStore


class PostgresKeyStore(KeyStore):
    """Keys of every process that opens the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, key: ApiKey) -> None:
        limits = None if key.limits is None else msgspec.json.encode(key.limits).decode()
        await self._database.write(
            "add_api_key",
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

    @override
    async def find(self, digest: str) -> ApiKey | None:
        keys = _keys(await self._database.read("find_api_key", digest))
        return keys[0] if keys else None

    @override
    async def all(self) -> list[ApiKey]:
        return _keys(await self._database.read("all_api_keys"))

    @override
    async def revoke(self, key_id: KeyId, now: float) -> bool:
        return bool(await self._database.write("revoke_api_key", key_id, now))


def _keys(rows: Iterable[Row]) -> list[ApiKey]:
    return [
        ApiKey(
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
        for key_id, digest, hint, team, feature, limits, role, created_at, revoked_at in rows
    ]
