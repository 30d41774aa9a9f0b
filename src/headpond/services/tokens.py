"""Bearer tokens of an identity provider: JSON Web Tokens, checked against its published keys.

Keys are read when the first token comes, again when they are an hour old, so that a withdrawn key
stops working, and at once when a token names a key that is not known: providers rotate. Made-up
key names could make us ask the provider all the time, so there are `MIN_REREAD_S` between two
looks. While the provider does not answer, the keys that are known keep working.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from headpond.domain.identity import Identity
from headpond.errors import MissingExtra, Unauthenticated, Unavailable
from headpond.ports.clock import Clock
from headpond.ports.key_set import KeySet
from headpond.settings import JwtSettings

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger(__name__)

MIN_REREAD_S = 30.0
MAX_KEYS_AGE_S = 3600.0
LEEWAY_S = 30.0
"""Clocks of two machines differ a little."""

MAX_NAME_CHARS = 256


class Tokens:
    """Raises MissingExtra where PyJWT is not installed."""

    def __init__(self, settings: JwtSettings, key_set: KeySet, clock: Clock) -> None:
        try:
            import jwt  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtra("jwt", "Checking tokens of an identity provider") from error
        self._jwt = jwt
        self._settings = settings
        self._key_set = key_set
        self._clock = clock
        self._keys: dict[str | None, PyJWK] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def identity(self, token: bytes) -> Identity:
        """Who the token was made out to. Raises Unauthenticated, Unavailable."""
        try:
            header = cast("dict[str, object]", self._jwt.get_unverified_header(token))
            key = await self._key(header.get("kid"))
            claims = cast("dict[str, object]", self._decode(token, key))
        except self._jwt.PyJWTError as error:
            raise _refused(str(error)) from error
        self._check_times(claims)
        team = _name(claims, self._settings.team_claim)
        if team is None:
            raise _refused(f"it has no claim {self._settings.team_claim!r} that names a team")
        return Identity(team, _name(claims, self._settings.feature_claim))

    def _decode(self, token: bytes, key: "PyJWK") -> Mapping[str, object]:
        return self._jwt.decode(
            token,
            key,
            algorithms=list(self._settings.algorithms),
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            options={
                "require": ["exp"],
                "verify_aud": self._settings.audience is not None,
                # By our own clock, below.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )

    def _check_times(self, claims: Mapping[str, object]) -> None:
        now = self._clock.now()
        expires, begins = claims["exp"], claims.get("nbf", 0)
        if not isinstance(expires, int | float) or not isinstance(begins, int | float):
            raise _refused("its times are not numbers")
        if now >= expires + LEEWAY_S:
            raise _refused("it has expired")
        if now < begins - LEEWAY_S:
            raise _refused("it is not valid yet")

    async def _key(self, key_id: object) -> "PyJWK":
        wanted = key_id if isinstance(key_id, str) else None
        if wanted not in self._keys or self._age_s() >= MAX_KEYS_AGE_S:
            async with self._reading:
                await self._read_again(wanted)
        if wanted in self._keys:
            return self._keys[wanted]
        raise _refused("it is signed with a key that the identity provider does not publish")

    async def _read_again(self, wanted: str | None) -> None:
        limit_s = MAX_KEYS_AGE_S if wanted in self._keys else MIN_REREAD_S
        if self._age_s() < limit_s:
            return
        try:
            keys = self._parse(await self._key_set.read())
        except Unavailable as error:
            if wanted not in self._keys:
                raise
            log.warning("keeping the old keys of the identity provider: %s", error.message)
            keys = self._keys
        self._keys = keys
        self._read_at = self._clock.now()

    def _age_s(self) -> float:
        return float("inf") if self._read_at is None else self._clock.now() - self._read_at

    def _parse(self, text: bytes) -> dict[str | None, "PyJWK"]:
        try:
            entries = self._jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except (self._jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            message = f"The identity provider's key set makes no sense: {error}"
            raise Unavailable(message, code="key_set_unavailable") from error
        keys: dict[str | None, PyJWK] = {key.key_id: key for key in entries}
        if len(entries) == 1:
            # A lone key serves tokens that do not name theirs.
            keys[None] = entries[0]
        return keys


def _name(claims: Mapping[str, object], claim: str) -> str | None:
    value = claims.get(claim)
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_NAME_CHARS:
        return value
    return None


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"This token is refused: {why}.", code="invalid_token")
