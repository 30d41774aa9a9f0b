"""What every key store must do. Subclass `KeyStoreSuite` and give it a `keys` fixture."""

import pytest
from msgspec.structs import replace

from headpond.domain.identity import ApiKey, KeyId, Limits, Role
from headpond.ports.keys import KeyStore


def a_key(number: int, limits: Limits | None = None) -> ApiKey:
    """A key that was created `number` seconds after the others."""
    return ApiKey(
        id=KeyId(f"key_{number}"),
        digest=f"digest-{number}",
        hint=f"hp_{number}",
        team="team",
        feature="search",
        limits=limits,
        created_at=1_000_000.0 + number,
    )


class KeyStoreSuite:
    """The contract of `headpond.ports.keys`. SPEC G5."""

    @pytest.fixture
    async def keys(self) -> KeyStore:
        raise NotImplementedError("give the suite a key store")

    async def test_a_key_is_found_by_its_digest(self, keys: KeyStore) -> None:
        key = a_key(1, Limits(requests_per_minute=5))
        await keys.add(key)
        assert await keys.find("digest-1") == key
        assert await keys.find("digest-2") is None

    async def test_the_role_is_kept(self, keys: KeyStore) -> None:
        key = replace(a_key(1), role=Role.OPERATOR)
        await keys.add(key)
        assert await keys.find("digest-1") == key

    async def test_keys_are_listed_oldest_first(self, keys: KeyStore) -> None:
        for number in (2, 1, 3):
            await keys.add(a_key(number))
        assert await keys.all() == [a_key(1), a_key(2), a_key(3)]

    async def test_a_key_is_revoked_once(self, keys: KeyStore) -> None:
        await keys.add(a_key(1))
        assert await keys.revoke(KeyId("key_1"), 1_000_060.0)
        assert not await keys.revoke(KeyId("key_1"), 1_000_070.0)
        found = await keys.find("digest-1")
        assert found is not None
        assert found.revoked_at == 1_000_060.0

    async def test_an_unknown_key_cannot_be_revoked(self, keys: KeyStore) -> None:
        assert not await keys.revoke(KeyId("key_none"), 1_000_060.0)
