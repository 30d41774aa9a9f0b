"""Rate limits of each team, in this process's memory."""

import math

import msgspec

from headpond.domain.identity import Identity, Limits
from headpond.domain.ratelimit import Bucket, full
from headpond.errors import InvalidRequest, RateLimited
from headpond.ports.clock import Clock
from headpond.settings import LimitSettings

SWEEP_AT_LEAST = 1024
"""Fewer buckets than this are not worth a look."""


class Allowance(msgspec.Struct, frozen=True):
    """A team's buckets after a request, None where it has no such limit."""

    requests: Bucket | None
    tokens: Bucket | None


class RateLimits:
    """Takes from a team's buckets, or says when to come back.

    A team has a bucket for each limit that its keys have: keys of one limit share it, and a key of
    another limit neither refills nor empties it.
    """

    def __init__(self, settings: LimitSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._requests = _Buckets()
        self._tokens = _Buckets()

    def take(self, identity: Identity, tokens: int) -> Allowance:
        """Count one request of about `tokens` tokens against the caller's team.

        Takes from both buckets or from none. Raises RateLimited, or InvalidRequest for a request
        that is larger than a minute's tokens and so would never pass.
        """
        left = self.allowance(identity)
        _check(left.requests, 1, "requests")
        _check(left.tokens, tokens, "tokens")
        return Allowance(
            self._requests.take(identity.team, left.requests, 1),
            self._tokens.take(identity.team, left.tokens, tokens),
        )

    def give_back(self, identity: Identity, tokens: int) -> None:
        """Undo a `take` that turned out to be for nothing."""
        left = self.allowance(identity)
        self._requests.give_back(identity.team, left.requests, 1)
        self._tokens.give_back(identity.team, left.tokens, tokens)

    def allowance(self, identity: Identity) -> Allowance:
        """What the caller's team may do now; takes nothing."""
        limits = self._limits(identity)
        now = self._clock.now()
        return Allowance(
            self._requests.current(identity.team, limits.requests_per_minute, now),
            self._tokens.current(identity.team, limits.tokens_per_minute, now),
        )

    def _limits(self, identity: Identity) -> Limits:
        if identity.limits is not None:
            return identity.limits
        return self._settings.teams.get(identity.team, self._settings.default)


class _Buckets:
    """The buckets that are not full; a full one is like a new one, so it is not kept."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, int], Bucket] = {}
        self._sweep_at = SWEEP_AT_LEAST

    def current(self, team: str, per_minute: int | None, now: float) -> Bucket | None:
        if per_minute is None:
            return None
        bucket = self._buckets.get((team, per_minute))
        return full(per_minute, now) if bucket is None else bucket.filled(now)

    def take(self, team: str, bucket: Bucket | None, amount: int) -> Bucket | None:
        """The bucket without `amount`, kept. It is one that `current` gave."""
        if bucket is None:
            return None
        taken = self._buckets[team, bucket.per_minute] = bucket.taken(amount)
        if len(self._buckets) >= self._sweep_at:
            self._sweep(bucket.at)
        return taken

    def give_back(self, team: str, bucket: Bucket | None, amount: int) -> None:
        """Keep the bucket with `amount` more. It is one that `current` gave."""
        if bucket is not None:
            self._buckets[team, bucket.per_minute] = bucket.given_back(amount)

    def _sweep(self, now: float) -> None:
        self._buckets = {
            name: bucket for name, bucket in self._buckets.items() if bucket.filled(now).reset_s > 0
        }
        # Twice of what is left, so that a request pays for a constant number of looks.
        self._sweep_at = max(SWEEP_AT_LEAST, 2 * len(self._buckets))


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
