"""Rate limits of each team, in this process's memory."""

import math

import msgspec

from headpond.domain.identity import Identity, Limits
from headpond.domain.ratelimit import Bucket, full
from headpond.errors import InvalidRequest, RateLimited
from headpond.ports.clock import Clock
from headpond.settings import LimitSettings


class Allowance(msgspec.Struct, frozen=True):
    """A team's buckets after a request, None where it has no such limit."""

    requests: Bucket | None
    tokens: Bucket | None


class RateLimits:
    """Takes from a team's buckets, or says when to come back.

    Teams that sent nothing for long hold no memory worth saving: a bucket is three numbers.
    """

    def __init__(self, settings: LimitSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._requests: dict[str, Bucket] = {}
        self._tokens: dict[str, Bucket] = {}

    def take(self, identity: Identity, tokens: int) -> Allowance:
        """Count one request of about `tokens` tokens against the caller's team.

        Takes from both buckets or from none. Raises RateLimited, or InvalidRequest for a request
        that is larger than a minute's tokens and so would never pass.
        """
        limits = self._limits(identity)
        now = self._clock.now()
        requests = _current(self._requests, identity.team, limits.requests_per_minute, now)
        tokens_left = _current(self._tokens, identity.team, limits.tokens_per_minute, now)
        _check(requests, 1, "requests")
        _check(tokens_left, tokens, "tokens")
        if requests is not None:
            requests = self._requests[identity.team] = requests.taken(1)
        if tokens_left is not None:
            tokens_left = self._tokens[identity.team] = tokens_left.taken(tokens)
        return Allowance(requests, tokens_left)

    def _limits(self, identity: Identity) -> Limits:
        if identity.limits is not None:
            return identity.limits
        return self._settings.teams.get(identity.team, self._settings.default)


def _current(
    buckets: dict[str, Bucket], team: str, per_minute: int | None, now: float
) -> Bucket | None:
    if per_minute is None:
        return None
    bucket = buckets.get(team)
    if bucket is None or bucket.per_minute != per_minute:
        return full(per_minute, now)
    return bucket.filled(now)


def _check(bucket: Bucket | None, amount: int, unit: str) -> None:
    if bucket is None:
        return
    wait_s = bucket.wait_s(amount)
    if math.isinf(wait_s):
        message = (
            f"This request needs about {amount} {unit}; your team's limit is "
            f"{bucket.per_minute} {unit} a minute, so it can never pass. Make it smaller."
        )
        raise InvalidRequest(message, code="request_exceeds_limit", status=400)
    if wait_s > 0:
        message = f"Your team's limit is {bucket.per_minute} {unit} a minute."
        raise RateLimited(
            message,
            code="rate_limit_exceeded",
            retry_after_s=wait_s,
            unit=unit,
            limit=bucket.per_minute,
            remaining=bucket.remaining,
        )
