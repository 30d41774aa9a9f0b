"""API keys, as hashes."""

from typing import Protocol

from headpond.domain.identity import ApiKey, KeyId


class KeyStore(Protocol):
    """Keys are added and revoked, never changed or removed."""

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        ...

    async def find(self, digest: str) -> ApiKey | None:
        """The key with this digest, revoked ones included."""
        ...

    async def all(self) -> list[ApiKey]:
        """Every key, oldest first."""
        ...

    async def revoke(self, key_id: KeyId, now: float) -> bool:
        """Revoke a key; False if there is no such key or it is revoked already."""
        ...
