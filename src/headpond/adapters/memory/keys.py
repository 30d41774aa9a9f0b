"""API keys in this process's memory."""

from msgspec.structs import replace
from typing_extensions import override

from headpond.domain.identity import ApiKey, KeyId
from headpond.ports.keys import KeyStore


class MemoryKeyStore(KeyStore):
    """Nothing survives the process."""

    def __init__(self) -> None:
        self._keys: dict[KeyId, ApiKey] = {}

    @override
    async def add(self, key: ApiKey) -> None:
        self._keys[key.id] = key

    @override
    async def find(self, digest: str) -> ApiKey | None:
        return next((key for key in self._keys.values() if key.digest == digest), None)

    @override
    async def all(self) -> list[ApiKey]:
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))

    @override
    async def revoke(self, key_id: KeyId, now: float) -> bool:
        key = self._keys.get(key_id)
        if key is None or key.revoked_at is not None:
            return False
        self._keys[key_id] = replace(key, revoked_at=now)
        return True
