"""API keys: made, listed, revoked."""

from hashlib import sha256

import pytest

from headpond.adapters.memory.keys import MemoryKeyStore
from headpond.domain.identity import KeyId, Limits
from headpond.errors import InvalidRequest, NotFound
from headpond.services.keys import Keys
from headpond.testing.clocks import ManualClock


@pytest.fixture
def store() -> MemoryKeyStore:
    return MemoryKeyStore()


@pytest.fixture
def keys(store: MemoryKeyStore) -> Keys:
    return Keys(store, ManualClock())


async def test_only_the_digest_of_a_secret_is_stored(store: MemoryKeyStore, keys: Keys) -> None:
    made = await keys.create("team", "search", Limits(requests_per_minute=5))

    stored = await store.find(sha256(made.secret.encode()).hexdigest())
    assert stored == made.key
    assert made.secret.startswith("hp_")
    assert len(made.secret) == 3 + 43
    assert made.secret not in repr(stored)
    assert made.secret.startswith(made.key.hint)
    assert (made.key.team, made.key.feature) == ("team", "search")


async def test_no_two_keys_are_alike(keys: Keys) -> None:
    first, second = await keys.create("team"), await keys.create("team")

    assert first.secret != second.secret
    assert first.key.id != second.key.id
    assert {key.id for key in await keys.all()} == {first.key.id, second.key.id}


async def test_a_key_is_revoked_once(keys: Keys) -> None:
    made = await keys.create("team")
    await keys.revoke(made.key.id)

    [key] = await keys.all()
    assert key.revoked_at is not None
    for key_id in (made.key.id, KeyId("key_unknown")):
        with pytest.raises(NotFound):
            await keys.revoke(key_id)


@pytest.mark.parametrize("name", ["", "a\x00b", "line\nbreak", "t" * 257])
async def test_a_bad_name_gets_no_key(store: MemoryKeyStore, keys: Keys, name: str) -> None:
    with pytest.raises(InvalidRequest, match="team"):
        await keys.create(name)
    with pytest.raises(InvalidRequest, match="feature"):
        await keys.create("team", name)
    assert await store.all() == []
