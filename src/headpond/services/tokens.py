"""Bearer tokens of an identity provider: JSON Web Tokens, checked against its published keys.

Keys are read when the first token comes, again when they are an hour old, so that a withdrawn key
stops working, and at once when a token names a key that is not known: providers rotate. Made-up
key names could make us ask the provider all the time, so there are `MIN_REREAD_S` between two
looks. While the provider does not answer, the keys that are known keep working, and nobody waits
for it whose key is known.
"""

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard, cast

from headpond.domain.identity import Identity, Role, is_name
from headpond.errors import MissingExtra, Unauthenticated, Unavailable
from headpond.ports.clock import Clock
from headpond.ports.key_set import KeySet
from headpond.settings import JwtSettings

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger(__name__)

MIN_REREAD_S = 30.0
RETRY_S = 5.0
"""Between two looks at a provider that did not answer."""

MAX_KEYS_AGE_S = 3600.0
END_OF_TIME = 2.0**53
LEEWAY_S = 30.0
"""Clocks of two machines differ a little."""


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
        self._keys: dict[str | None, list[PyJWK]] = {}
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._away: str | None = None
        self._reading = asyncio.Lock()

    async def identity(self, token: bytes) -> Identity:
        """Who the token was made out to. Raises Unauthenticated, Unavailable."""
        try:
            header = cast("dict[str, object]", self._jwt.get_unverified_header(token))
            keys = await self._keys_named(header.get("kid"))
            claims = cast("dict[str, object]", self._claims(token, keys))
        except self._jwt.PyJWTError as error:
            raise _refused(str(error)) from error
        self._check_times(claims)
        team = _name(claims, self._settings.team_claim)
        if team is None:
            raise _refused(f"it has no claim {self._settings.team_claim!r} that names a team")
        feature = _name(claims, self._settings.feature_claim)
        return Identity(team, feature, role=_role(claims, self._settings.role_claim))

    def _claims(self, token: bytes, keys: "Sequence[PyJWK]") -> Mapping[str, object]:
        """By the first key that fits; a token that names none may be signed with any of several."""
        *others, last = keys
        for key in others:
            with contextlib.suppress(
                self._jwt.InvalidSignatureError, self._jwt.InvalidAlgorithmError
            ):
                return self._decode(token, key)
        return self._decode(token, last)

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
        if not _is_time(expires) or not _is_time(begins):
            raise _refused("its times are not numbers, or no times")
        if now >= expires + LEEWAY_S:
            raise _refused("it has expired")
        if now < begins - LEEWAY_S:
            raise _refused("it is not valid yet")

    async def _keys_named(self, key_id: object) -> "Sequence[PyJWK]":
        wanted = key_id if isinstance(key_id, str) else None
        known = wanted in self._keys
        if self._due(wanted) and not (known and self._reading.locked()):
            async with self._reading:
                # Whoever held the lock before may have read what is wanted here.
                if self._due(wanted):
                    await self._read_again()
        if wanted in self._keys:
            return self._keys[wanted]
        if self._away is not None:
            raise Unavailable(self._away, code="key_set_unavailable", retry_after_s=RETRY_S)
        raise _refused("it is signed with a key that the identity provider does not publish")

    def _due(self, wanted: str | None) -> bool:
        now = self._clock.now()
        if now - self._tried_at < (MIN_REREAD_S if self._away is None else RETRY_S):
            return False
        return wanted not in self._keys or now - self._read_at >= MAX_KEYS_AGE_S

    async def _read_again(self) -> None:
        try:
            self._keys = self._parse(await self._key_set.read())
        except Unavailable as error:
            log.warning("keeping the old keys of the identity provider: %s", error)
            self._away = error.message
        else:
            self._away = None
            self._read_at = self._clock.now()
        self._tried_at = self._clock.now()

    def _parse(self, text: bytes) -> dict[str | None, "list[PyJWK]"]:
        try:
            entries = self._jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except (self._jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            message = "The identity provider's key set makes no sense."
            raise Unavailable(message, why=str(error), code="key_set_unavailable") from error
        keys: dict[str | None, list[PyJWK]] = {}
        for key in entries:
            if key.public_key_use in {None, "sig"}:
                keys.setdefault(key.key_id, []).append(key)
        if len(keys) == 1:
            # A lone name serves tokens that do not name theirs.
            keys[None] = next(iter(keys.values()))
        return keys


def _is_time(value: object) -> TypeGuard[float]:
    """False also for what is not a number, and for numbers that no sum may be made with."""
    return isinstance(value, int | float) and 0 <= value <= END_OF_TIME


def _role(claims: Mapping[str, object], claim: str | None) -> Role:
    """An operator's where the claim is, or lists, that word."""
    value = None if claim is None else claims.get(claim)
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    return Role.OPERATOR if Role.OPERATOR in listed else Role.TEAM


def _name(claims: Mapping[str, object], claim: str) -> str | None:
    value = claims.get(claim)
    return value if is_name(value) else None


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"This token is refused: {why}.", code="invalid_token")
