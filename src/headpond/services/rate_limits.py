"""Rate limits of each team."""

import math

import msgspec

from headpond.domain.identity import Identity, Limits
from headpond.domain.ratelimit import Bucket
from headpond.errors import InvalidRequest, RateLimited
from headpond.ports.buckets import Buckets, Draw
from headpond.settings import LimitSettings


class Allowance(msgspec.Struct, frozen=True):
    """A team's buckets after a request, None where it has no such limit."""

    requests: Bucket | None = None
    tokens: Bucket | None = None


class RateLimits:
    """Takes from a team's buckets, or says when to come back.

    A team has a bucket for each limit that its keys have: keys of one limit share it, and a key of
    another limit neither refills nor empties it.
    """

    def __init__(self, settings: LimitSettings, buckets: Buckets) -> None:
        self._settings = settings
        self._buckets = buckets

    async def take(self, identity: Identity, tokens: int) -> Allowance:
        """Count one request of about `tokens` tokens against the caller's team.

        Takes from both buckets or from none. Raises RateLimited, InvalidRequest for a request
        that is larger than a minute's tokens and so would never pass, and Unavailable.
        """
        draws = self._draws(identity, 1, tokens)
        if not draws:
            return Allowance()
        drawn = await self._buckets.take(identity.team, draws)
        if not drawn.taken:
            pairs = zip(drawn.buckets, draws, strict=True)
            raise next(_refusal(*pair) for pair in pairs if not _fits(*pair))
        return _allowance(draws, drawn.buckets)

    async def give_back(self, identity: Identity, tokens: int) -> None:
        """Undo a `take` that turned out to be for nothing."""
        if draws := self._draws(identity, 1, tokens):
            await self._buckets.give_back(identity.team, draws)

    async def allowance(self, identity: Identity) -> Allowance:
        """What the caller's team may do now; takes nothing."""
        draws = self._draws(identity, 0, 0)
        if not draws:
            return Allowance()
        return _allowance(draws, (await self._buckets.take(identity.team, draws)).buckets)

    def _draws(self, identity: Identity, requests: int, tokens: int) -> list[Draw]:
        limits = self._limits(identity)
        wanted = (
            ("requests", limits.requests_per_minute, requests),
            ("tokens", limits.tokens_per_minute, tokens),
        )
        return [Draw(unit, limit, amount) for unit, limit, amount in wanted if limit is not None]

    def _limits(self, identity: Identity) -> Limits:
        if identity.limits is not None:
            return identity.limits
        return self._settings.teams.get(identity.team, self._settings.default)


def _allowance(draws: list[Draw], buckets: list[Bucket]) -> Allowance:
    by_unit = {draw.unit: bucket for draw, bucket in zip(draws, buckets, strict=True)}
    return Allowance(by_unit.get("requests"), by_unit.get("tokens"))


def _fits(bucket: Bucket, draw: Draw) -> bool:
    return bucket.wait_s(draw.amount) == 0


def _refusal(bucket: Bucket, draw: Draw) -> InvalidRequest | RateLimited:
    wait_s = bucket.wait_s(draw.amount)
    if math.isinf(wait_s):
        message = (
            f"This request needs about {draw.amount} {draw.unit}; your team's limit is "
            f"{bucket.per_minute} {draw.unit} a minute, so it can never pass. Make it smaller."
        )
        return InvalidRequest(message, code="request_exceeds_limit", status=400)
    return RateLimited(
        f"Your team's limit is {bucket.per_minute} {draw.unit} a minute.",
        code="rate_limit_exceeded",
        retry_after_s=wait_s,
        unit=draw.unit,
        limit=bucket.per_minute,
        remaining=bucket.remaining,
    )
