"""Answers in this process's memory."""

from typing_extensions import override

from headpond.domain.fingerprint import Fingerprint
from headpond.ports.cache import AnswerCache
from headpond.ports.clock import Clock


class MemoryAnswerCache(AnswerCache):
    """Holds answers of `max_bytes` together."""

    def __init__(self, clock: Clock, *, max_bytes: int) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: dict[Fingerprint, tuple[float, bytes]] = {}

    @override
    async def get(self, name: Fingerprint) -> bytes | None:
        expires_at, answer = self._answers.get(name, (0.0, b""))
        return answer if self._clock.now() < expires_at else None

    @override
    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        self._drop(name)
        self._answers[name] = self._clock.now() + keep_s, answer
        self._bytes += len(answer)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._answers)))

    @override
    async def forget(self) -> int:
        now = self._clock.now()
        over = [name for name, (expires_at, _) in self._answers.items() if expires_at <= now]
        for name in over:
            self._drop(name)
        return len(over)

    def _drop(self, name: Fingerprint) -> None:
        _, answer = self._answers.pop(name, (0.0, b""))
        self._bytes -= len(answer)
