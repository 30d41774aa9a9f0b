"""Authentication: from what a caller shows to who it is.

API keys begin with `hp_`; any other bearer token is taken for a JSON Web Token. A gateway that has
neither keys nor an identity provider lets everybody in as the team `local`, and therefore starts
only on a loopback address. The first key closes that door, also while the gateway runs, and
revoking the last one does not open it again.
"""

import ipaddress
from hashlib import sha256

from headpond.domain.identity import LOCAL_TEAM, Identity, Role
from headpond.errors import SettingsError, Unauthenticated
from headpond.ports.clock import Clock
from headpond.ports.keys import KeyStore
from headpond.services.keys import SECRET_PREFIX
from headpond.services.remembered import Remembered
from headpond.services.tokens import Tokens

LOCAL = Identity(LOCAL_TEAM, role=Role.OPERATOR)
"""The very object that a caller without a key gets: a key's team may have the same name."""

KEY_TTL_S = 1.0
"""How long an answer of the key store is believed: a revoked key works at most this long."""

MAX_CREDENTIAL_BYTES = 16_384


class Authentication:
    """Identifies callers. `tokens` is None without an identity provider."""

    def __init__(self, keys: KeyStore, tokens: Tokens | None, clock: Clock) -> None:
        self._keys = keys
        self._tokens = tokens
        self._callers = Remembered[bytes, Identity](clock, ttl_s=KEY_TTL_S, limit=10_000)
        self._closed = Remembered[None, bool](clock, ttl_s=KEY_TTL_S, limit=1)

    async def identify(self, authorization: bytes | None) -> Identity:
        """Who sent this `Authorization` header. Raises Unauthenticated, Unavailable."""
        if authorization is None:
            return await self._nobody()
        scheme, _, credential = authorization.partition(b" ")
        credential = credential.strip()
        if scheme.lower() != b"bearer" or not credential:
            return await self._nobody()
        digest = sha256(credential).digest()
        known = self._callers.get(digest)
        if known is not None:
            return known
        if not await self._keys_or_tokens():
            return LOCAL
        if len(credential) > MAX_CREDENTIAL_BYTES:
            raise _unknown()
        identity = await self._identity(credential, digest)
        self._callers.put(digest, identity)
        return identity

    async def _nobody(self) -> Identity:
        if await self._keys_or_tokens():
            message = "Send your API key in the header Authorization: Bearer hp_…"
            raise Unauthenticated(message, code="missing_api_key")
        return LOCAL

    async def _identity(self, credential: bytes, digest: bytes) -> Identity:
        if credential.startswith(SECRET_PREFIX.encode()):
            key = await self._keys.find(digest.hex())
            if key is None or key.revoked_at is not None:
                raise _unknown()
            return Identity(key.team, key.feature, key.limits, key.role)
        if self._tokens is None:
            raise _unknown()
        return await self._tokens.identity(credential)

    async def _keys_or_tokens(self) -> bool:
        if self._tokens is not None:
            return True
        closed = self._closed.get(None)
        if closed is None:
            closed = bool(await self._keys.all())
            self._closed.put(None, closed)
        return closed


async def require_safe_binding(host: str, keys: KeyStore, *, tokens: bool) -> None:
    """Refuse to serve everybody on a network. Raises SettingsError; called before binding."""
    if tokens or is_loopback(host) or await keys.all():
        return
    message = (
        f"gateway.host is {host!r}, so others can reach this gateway, but there is no API key and "
        "no identity provider: anybody could use it. Create a key with `headpond keys create`, "
        "or set auth.jwt, or bind to 127.0.0.1."
    )
    raise SettingsError(message)


def is_loopback(host: str) -> bool:
    """Whether this name or address is of this machine, without asking anybody."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unknown() -> Unauthenticated:
    return Unauthenticated("This API key is unknown or revoked.", code="invalid_api_key")
