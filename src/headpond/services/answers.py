"""Answers: what is remembered of them, and for which requests.

A cache never stops a job. One that fails, or does not answer at once, has nothing and takes
nothing, and is left alone for a while, so that a request pays for its failure now and then only.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import msgspec

from headpond.domain.fingerprint import Fingerprint, fingerprint
from headpond.domain.job import Job
from headpond.domain.known_answer import KnownAnswer
from headpond.ports.cache import AnswerCache
from headpond.ports.events import Listener
from headpond.services.complaints import Complaints
from headpond.settings import CacheSettings

T = TypeVar("T")

PATIENCE_S = 0.5
"""Jobs that were pulled wait for it, and pulls for them."""

AWAY_S = 5.0

FORGET_EVERY_S = 60.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KnownAnswer).decode


class Answers:
    """Those of one pool. Its model's version is part of what each is known by."""

    def __init__(
        self,
        cache: AnswerCache,
        *,
        settings: CacheSettings,
        model_version: str | None,
        listener: Listener,
    ) -> None:
        self._cache = cache
        self._settings = settings
        self.model_version = model_version
        self._complaints = Complaints("cache", listener)
        self._away_until = 0.0

    def name_of(self, job: Job, request: bytes) -> Fingerprint | None:
        """What the answer is known by; None if it is not to be remembered."""
        return fingerprint(job, request, model_version=self.model_version)

    async def get(self, name: Fingerprint) -> KnownAnswer | None:
        """The answer, if it is remembered and can be read."""
        stored = await self._unless_it_fails(partial(self._cache.get, name))
        try:
            return None if stored is None else _decode(stored)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # damaged
            return None

    async def put(self, name: Fingerprint, answer: KnownAnswer) -> None:
        """Remember it, unless it is too large."""
        encoded = _encode(answer)
        if len(encoded) <= self._settings.max_answer_bytes:
            keep_s = self._settings.keep_s
            await self._unless_it_fails(partial(self._cache.put, name, encoded, keep_s))

    async def _unless_it_fails(self, call: Callable[[], Awaitable[T]]) -> T | None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            return None
        try:
            async with asyncio.timeout(PATIENCE_S):
                result = await call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine can answer
            self._away_until = loop.time() + AWAY_S
            self._complaints.failed(error)
            return None
        self._complaints.went_well()
        return result
