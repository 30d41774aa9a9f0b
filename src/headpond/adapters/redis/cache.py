"""Answers on Redis, which processes on any number of machines share.

Each is a key of its own with a time-out, so the server forgets by itself, and one that is full may
throw them away, if nothing else of Headpond's lies there (counts of rate limits have time-outs,
too). When an answer's time is over, Headpond's clock says: the value begins with it.
"""

import math

from typing_extensions import override

from headpond.adapters.redis.server import Command, Server
from headpond.domain.fingerprint import Fingerprint
from headpond.ports.cache import AnswerCache
from headpond.ports.clock import Clock


class RedisAnswerCache(AnswerCache):
    """Its size is the server's business."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    @override
    async def get(self, name: Fingerprint) -> bytes | None:
        stored = await self._server.run(Command(("GET", _key(name))))
        expires_at, _, answer = (stored or b"0 ").partition(b" ")
        return answer if self._clock.now() < _seconds(expires_at) else None

    @override
    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        value = b"%r %b" % (self._clock.now() + keep_s, answer)
        milliseconds = max(1, math.ceil(1000 * keep_s))
        await self._server.run(Command(("SET", _key(name), value, "PX", milliseconds)))

    @override
    async def forget(self) -> int:
        return 0


def _key(name: Fingerprint) -> str:
    return f"headpond:answer:{name}"


def _seconds(text: bytes) -> float:
    """0 for what we did not write."""
    try:
        return float(text)
    except ValueError:
        return 0.0
