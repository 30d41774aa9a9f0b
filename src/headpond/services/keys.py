"""API keys: made, listed, revoked."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256

import msgspec

from headpond.domain.identity import (
    MAX_NAME_CHARS,
    ApiKey,
    KeyId,
    Limits,
    Role,
    is_name,
    time_ordered_id,
)
from headpond.errors import InvalidRequest, NotFound
from headpond.ports.clock import Clock
from headpond.ports.keys import KeyStore

SECRET_PREFIX = "hp_"  # noqa: S105 - what secrets begin with is no secret
HINT_CHARS = 8


class NewKey(msgspec.Struct, frozen=True):
    """A key with its secret, which is shown this once and stored nowhere."""

    key: ApiKey
    secret: str


class Keys:
    """For whoever runs the gateway."""

    def __init__(
        self,
        store: KeyStore,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    async def create(
        self,
        team: str,
        feature: str | None = None,
        limits: Limits | None = None,
        role: Role = Role.TEAM,
    ) -> NewKey:
        """Make a key for a team, with 256 random bits. Raises InvalidRequest for a bad name."""
        _check_name(team, "team")
        if feature is not None:
            _check_name(feature, "feature")
        secret = SECRET_PREFIX + _base64url(self._random_bytes(32))
        now = self._clock.now()
        key = ApiKey(
            id=KeyId("key_" + time_ordered_id(now, int.from_bytes(self._random_bytes(10)))),
            digest=sha256(secret.encode()).hexdigest(),
            hint=secret[:HINT_CHARS],
            team=team,
            feature=feature,
            limits=limits,
            role=role,
            created_at=now,
        )
        await self._store.add(key)
        return NewKey(key, secret)

    async def all(self) -> list[ApiKey]:
        """Every key, revoked ones included, oldest first."""
        return await self._store.all()

    async def revoke(self, key_id: KeyId) -> None:
        """Revoke a key; gateways notice within a second. Raises NotFound."""
        if not await self._store.revoke(key_id, self._clock.now()):
            message = f"There is no key {key_id!r}, or it is revoked already."
            raise NotFound(message, code="key_not_found", param="id")


def _check_name(name: str, param: str) -> None:
    if not is_name(name):
        message = f"A {param} has 1 to {MAX_NAME_CHARS} printable characters."
        raise InvalidRequest(message, code="invalid_value", param=param)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
