"""The forgetter of tokens: those of jobs that ended a while ago; their results stand elsewhere."""

from headpond.ports.clock import Clock
from headpond.ports.streams import TokenStreams


class TokenForgetter:
    """Any number may run at once."""

    def __init__(self, streams: TokenStreams, *, clock: Clock, ttl_s: float) -> None:
        self._streams = streams
        self._clock = clock
        self._ttl_s = ttl_s

    async def tick(self) -> int:
        """Forget all that is due; returns how many streams."""
        forgotten = 0
        while some := await self._streams.forget(self._clock.now() - self._ttl_s):
            forgotten += some
        return forgotten
