"""Who asks, and ids that sort by time."""

from enum import StrEnum
from typing import Annotated, NewType, TypeGuard

import msgspec
from msgspec import Meta

KeyId = NewType("KeyId", str)
Limit = Annotated[int, Meta(ge=1)]

LOCAL_TEAM = "local"
"""The team of everybody, where a gateway on the loopback address has no keys."""


MAX_NAME_CHARS = 256


def is_name(value: object) -> TypeGuard[str]:
    """Whether this can name a team or a feature: printable text, neither empty nor endless."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_NAME_CHARS


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a team may hand in a minute. None means no limit."""

    requests_per_minute: Annotated[
        Limit | None, Meta(description="Requests, with bursts of as many")
    ] = None
    tokens_per_minute: Annotated[
        Limit | None, Meta(description="Tokens of prompts and answers, estimated at submit")
    ] = None


class Role(StrEnum):
    """What a caller may see: its team's jobs, or every team's dead letters too."""

    TEAM = "team"
    OPERATOR = "operator"


class Identity(msgspec.Struct, frozen=True):
    """The caller as the gateway knows it. `limits` are those of its key, if the key has any."""

    team: str
    feature: str | None = None
    limits: Limits | None = None
    role: Role = Role.TEAM


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is stored: the hash, never the secret. Times are Unix seconds.

    `digest` is the SHA-256 of the secret in hex; the secrets are random and long, so a slow
    password hash would add cost and no safety. `hint` is the start of the secret, for people.
    """

    id: KeyId
    digest: str
    hint: str
    team: str
    feature: str | None = None
    limits: Limits | None = None
    role: Role = Role.TEAM
    created_at: float
    revoked_at: float | None = None


def time_ordered_id(now: float, random_bits: int) -> str:
    """A UUIDv7 (RFC 9562) as 32 hex digits: 48 bits of milliseconds, then 74 random bits.

    Time order keeps inserts at the end of an index. `now` is Unix seconds, `random_bits` at
    least 74 random bits, of which the lowest 74 are used.
    """
    milliseconds = int(now * 1000) & (2**48 - 1)
    random_a = (random_bits >> 62) & 0xFFF
    random_b = random_bits & (2**62 - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (random_a << 64) | (0b10 << 62) | random_b
    return f"{value:032x}"
