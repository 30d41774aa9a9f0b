"""From what a caller shows to who it is: SPEC G5."""

import pytest

from headpond.adapters.memory.keys import MemoryKeyStore
from headpond.domain.identity import ApiKey, Identity, Limits, Role
from headpond.errors import SettingsError, Unauthenticated
from headpond.services.authentication import (
    MAX_CREDENTIAL_BYTES,
    Authentication,
    require_safe_binding,
)
from headpond.services.keys import Keys
from headpond.testing.clocks import ManualClock

LOCAL = Identity("local", role=Role.OPERATOR)


class Counting(MemoryKeyStore):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def find(self, digest: str) -> ApiKey | None:  # pyright: ignore[reportImplicitOverride]
        self.asked += 1
        return await super().find(digest)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def keys(store: Counting, clock: ManualClock) -> Keys:
    return Keys(store, clock)


@pytest.fixture
def authentication(store: Counting, clock: ManualClock) -> Authentication:
    return Authentication(store, None, clock)


def bearer(secret: str) -> bytes:
    return f"Bearer {secret}".encode()


async def refused(authentication: Authentication, header: bytes | None) -> str:
    with pytest.raises(Unauthenticated) as raised:
        await authentication.identify(header)
    return raised.value.code


@pytest.mark.parametrize("header", [None, b"", b"Bearer x", b"Bearer hp_x", b"nonsense"])
async def test_without_keys_everybody_is_local(
    authentication: Authentication, header: bytes | None
) -> None:
    assert await authentication.identify(header) == LOCAL


async def test_a_key_names_team_feature_and_limits(
    authentication: Authentication, keys: Keys
) -> None:
    limits = Limits(requests_per_minute=1)
    secret = (await keys.create("team", "search", limits)).secret

    assert await authentication.identify(bearer(secret)) == Identity("team", "search", limits)


async def test_what_is_no_key_is_refused(authentication: Authentication, keys: Keys) -> None:
    secret = (await keys.create("team")).secret

    assert await refused(authentication, None) == "missing_api_key"
    assert await refused(authentication, b"Bearer ") == "missing_api_key"
    assert await refused(authentication, f"Basic {secret}".encode()) == "missing_api_key"
    assert await refused(authentication, bearer(secret + "x")) == "invalid_api_key"
    assert await refused(authentication, b"Bearer eyJhbGciOi") == "invalid_api_key"
    assert await refused(authentication, bearer("h" * (MAX_CREDENTIAL_BYTES + 1)))


async def test_a_key_that_is_known_works_as_a_bearer_only(
    authentication: Authentication, keys: Keys
) -> None:
    secret = (await keys.create("team")).secret
    await authentication.identify(bearer(secret))

    assert await refused(authentication, f"Basic {secret}".encode()) == "missing_api_key"


async def test_the_store_is_asked_once_a_second(
    authentication: Authentication, keys: Keys, store: Counting, clock: ManualClock
) -> None:
    secret = (await keys.create("team")).secret
    for _ in range(5):
        await authentication.identify(bearer(secret))
    assert store.asked == 1

    clock.advance(1)
    await authentication.identify(bearer(secret))
    assert store.asked == 2


async def test_a_revoked_key_ends_within_a_second(
    authentication: Authentication, keys: Keys, clock: ManualClock
) -> None:
    made = await keys.create("team")
    await authentication.identify(bearer(made.secret))
    await keys.revoke(made.key.id)
    clock.advance(1)

    assert await refused(authentication, bearer(made.secret)) == "invalid_api_key"


async def test_the_first_key_closes_the_door_while_the_gateway_runs(
    authentication: Authentication, keys: Keys, clock: ManualClock
) -> None:
    assert await authentication.identify(None) == LOCAL
    await keys.create("team")
    clock.advance(1)

    assert await refused(authentication, None) == "missing_api_key"


async def test_revoking_the_last_key_does_not_open_it_again(
    authentication: Authentication, keys: Keys
) -> None:
    await keys.revoke((await keys.create("team")).key.id)

    assert await refused(authentication, None) == "missing_api_key"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
async def test_a_loopback_address_is_safe(host: str, store: Counting) -> None:
    await require_safe_binding(host, store, tokens=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", ""])  # noqa: S104
async def test_another_address_needs_keys_or_a_provider(
    host: str, store: Counting, keys: Keys
) -> None:
    with pytest.raises(SettingsError, match="headpond keys create"):
        await require_safe_binding(host, store, tokens=False)

    await require_safe_binding(host, store, tokens=True)
    await keys.create("team")
    await require_safe_binding(host, store, tokens=False)
