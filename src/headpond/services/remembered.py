"""Answers that stay good for a moment, in bounded memory."""

from typing import Generic, TypeVar

from headpond.ports.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Keeps up to `limit` answers for `ttl_s` seconds each; when full, the oldest goes."""

    def __init__(self, clock: Clock, *, ttl_s: float, limit: int) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._limit = limit
        self._entries: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """The answer, None when there is none that is fresh."""
        entry = self._entries.get(key)
        # A clock that jumped back makes an answer old, not immortal.
        if entry is None or not 0 <= self._clock.now() - entry[0] < self._ttl_s:
            return None
        return entry[1]

    def put(self, key: K, value: V) -> None:
        """Remember an answer from now on."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock.now(), value)
