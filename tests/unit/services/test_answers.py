"""A cache saves work where it can, and stops nothing where it cannot. SPEC C1."""

import asyncio
from collections.abc import Coroutine

import pytest
from typing_extensions import override

from headpond.adapters.memory.cache import MemoryAnswerCache
from headpond.domain.facts import DutyFailed, DutyWellAgain
from headpond.domain.fingerprint import Fingerprint
from headpond.domain.job import Usage
from headpond.domain.known_answer import KnownAnswer
from headpond.errors import Unavailable
from headpond.services.answers import AWAY_S, PATIENCE_S, Answers
from headpond.services.complaints import failure
from headpond.settings import CacheSettings
from headpond.testing.cache_suite import a_name
from headpond.testing.records import a_job
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.unit.services.pond import Ear

NAME = a_name(1)
ANSWER = KnownAnswer(response=b"{}", usage=Usage(5, 2), confidence=None, engine="e")


class Moody(MemoryAnswerCache):
    """Raises `error` while it has one, or does not answer while it `hangs`."""

    def __init__(self) -> None:
        super().__init__(LoopClock(), max_bytes=1_000_000)
        self.error: Exception | None = None
        self.hangs = False
        self.calls = 0

    @override
    async def get(self, name: Fingerprint) -> bytes | None:
        await self._mood()
        return await super().get(name)

    @override
    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        await self._mood()
        await super().put(name, answer, keep_s)

    async def _mood(self) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


class Kept:
    """A moody cache and what is made of it."""

    def __init__(self, settings: CacheSettings | None = None) -> None:
        self.ear = Ear()
        self.cache = Moody()
        self.answers = Answers(
            self.cache,
            settings=settings or CacheSettings(keep_s=100),
            model_version=None,
            listener=self.ear,
        )


def test_what_is_put_is_there_until_its_time_is_over() -> None:
    async def experiment() -> None:
        answers = Kept().answers
        assert await answers.get(NAME) is None
        await answers.put(NAME, ANSWER)
        await asyncio.sleep(99)
        assert await answers.get(NAME) == ANSWER
        await asyncio.sleep(1)
        assert await answers.get(NAME) is None

    run_virtually(experiment())


def test_an_answer_that_is_too_large_is_not_put() -> None:
    async def experiment() -> None:
        kept = Kept(CacheSettings(max_answer_bytes=100))
        large = KnownAnswer(response=bytes(100), usage=Usage(), confidence=None, engine="e")
        await kept.answers.put(NAME, large)
        assert kept.cache.calls == 0

    run_virtually(experiment())


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff",
        b"\x80",
        b"\x81\xa8response\x01",
        b"\x81\xa6engine\xa1\xff",
        b"\x81\xa1x" + 5_000 * b"\x91",
    ],
    ids=["nothing", "no map", "no fields", "another type", "no text", "too deep"],
)
def test_what_is_damaged_is_not_there(stored: bytes) -> None:
    async def experiment() -> None:
        kept = Kept()
        await kept.cache.put(NAME, stored, 100)
        assert await kept.answers.get(NAME) is None
        assert kept.ear.facts == []

    run_virtually(experiment())


@pytest.mark.parametrize(
    "error", [Unavailable("away", code="store_unavailable"), RuntimeError("a mistake of ours")]
)
def test_a_cache_that_fails_has_nothing_and_is_left_alone_for_a_while(error: Exception) -> None:
    async def experiment() -> None:
        kept = Kept()
        await kept.answers.put(NAME, ANSWER)
        kept.cache.error = error
        assert await kept.answers.get(NAME) is None
        kept.cache.error = None
        assert await kept.answers.get(NAME) is None
        await kept.answers.put(NAME, ANSWER)
        assert kept.cache.calls == 2
        await asyncio.sleep(AWAY_S)
        assert await kept.answers.get(NAME) == ANSWER
        assert kept.ear.facts == [failure("cache", error), DutyWellAgain("cache", AWAY_S)]

    run_virtually(experiment())


def test_one_that_does_not_answer_is_not_waited_for() -> None:
    async def seconds(call: Coroutine[object, object, object]) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await call
        return loop.time() - began

    async def experiment() -> None:
        kept = Kept()
        kept.cache.hangs = True
        assert await seconds(kept.answers.get(NAME)) == pytest.approx(PATIENCE_S)
        assert await seconds(kept.answers.put(NAME, ANSWER)) == 0

    run_virtually(experiment())


def test_one_that_stays_away_is_told_once_a_minute() -> None:
    async def experiment() -> None:
        kept = Kept()
        kept.cache.error = Unavailable("away", code="store_unavailable")
        for _ in range(60):
            await kept.answers.get(NAME)
            await asyncio.sleep(2)
        told = kept.ear.heard(DutyFailed)
        assert (len(told), sum(fact.news for fact in told)) == (20, 2)

    run_virtually(experiment())


def test_the_version_of_the_model_is_part_of_what_an_answer_is_known_by() -> None:
    body = b'{"messages":[],"temperature":0}'
    names = {
        Answers(
            MemoryAnswerCache(LoopClock(), max_bytes=1),
            settings=CacheSettings(),
            model_version=version,
            listener=Ear(),
        ).name_of(a_job(), body)
        for version in (None, "1")
    }
    assert None not in names
    assert len(names) == 2
