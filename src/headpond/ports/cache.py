"""The cache: answers of engines, kept for a while in case the same is asked again.

Nothing depends on it: it may lose what it likes, and what it does not have is asked for again.
"""

from typing import Protocol

from headpond.domain.fingerprint import Fingerprint


class AnswerCache(Protocol):
    """Each verb raises Unavailable where the store is away. Answers are bytes to it."""

    async def get(self, name: Fingerprint) -> bytes | None:
        """What was put last under that name, until its time is over."""
        ...

    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        """Keep the answer for so many seconds, in the place of one that has the name already.

        A cache that is full drops others for it, those that were put first.
        """
        ...

    async def forget(self) -> int:
        """Drop answers whose time is over, and say how many; 0 where that happens by itself."""
        ...
