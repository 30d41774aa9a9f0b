"""What a cache of answers must do. Subclass `AnswerCacheSuite` and give it a `stage` fixture."""

import asyncio
from dataclasses import dataclass

import pytest

from headpond.domain.fingerprint import Fingerprint
from headpond.ports.cache import AnswerCache
from headpond.testing.clocks import ManualClock

ROOM = 200_000
"""Bytes that a cache of this suite may take, if it bounds them."""

KEEP_S = 100.0


@dataclass(frozen=True)
class CacheStage:
    """A cache as two workers reach it, and whether it bounds its size itself."""

    one: AnswerCache
    other: AnswerCache
    clock: ManualClock
    bounded: bool = True


def a_name(number: int) -> Fingerprint:
    """The fingerprint of some request."""
    return Fingerprint(f"{number:064x}")


class AnswerCacheSuite:
    """The contract of `headpond.ports.cache`. SPEC C1."""

    @pytest.fixture
    async def stage(self) -> CacheStage:
        raise NotImplementedError("give the suite a cache and its clock")

    async def test_what_was_never_put_is_not_there(self, stage: CacheStage) -> None:
        assert await stage.one.get(a_name(1)) is None

    async def test_what_one_puts_the_other_gets(self, stage: CacheStage) -> None:
        every_byte = bytes(range(256))
        await stage.one.put(a_name(1), every_byte, KEEP_S)
        assert await stage.other.get(a_name(1)) == every_byte
        assert await stage.other.get(a_name(2)) is None

    async def test_nothing_is_an_answer_too(self, stage: CacheStage) -> None:
        await stage.one.put(a_name(1), b"", KEEP_S)
        assert await stage.one.get(a_name(1)) == b""

    async def test_an_answer_is_there_until_its_time_is_over(self, stage: CacheStage) -> None:
        await stage.one.put(a_name(1), b"short", KEEP_S)
        await stage.one.put(a_name(2), b"long", 2 * KEEP_S)
        stage.clock.advance(KEEP_S - 1)
        assert await stage.one.get(a_name(1)) == b"short"
        stage.clock.advance(1)
        assert await stage.one.get(a_name(1)) is None
        assert await stage.other.get(a_name(1)) is None
        assert await stage.one.get(a_name(2)) == b"long"

    async def test_the_last_put_counts_with_its_time(self, stage: CacheStage) -> None:
        await stage.one.put(a_name(1), b"first", 2 * KEEP_S)
        stage.clock.advance(1)
        await stage.other.put(a_name(1), b"second", KEEP_S)
        assert await stage.one.get(a_name(1)) == b"second"
        stage.clock.advance(KEEP_S)
        assert await stage.one.get(a_name(1)) is None

    async def test_what_is_over_is_forgotten_and_nothing_else(self, stage: CacheStage) -> None:
        for number in range(150):
            await stage.one.put(a_name(number), b"short", KEEP_S)
        await stage.one.put(a_name(200), b"long", 2 * KEEP_S)
        assert await stage.one.forget() == 0
        stage.clock.advance(KEEP_S)
        assert await stage.other.forget() in {150, 0}
        assert await stage.one.forget() == 0
        assert await stage.one.get(a_name(0)) is None
        assert await stage.one.get(a_name(200)) == b"long"

    async def test_of_many_puts_at_once_each_is_kept(self, stage: CacheStage) -> None:
        numbers = range(30)
        await asyncio.gather(
            *(
                (stage.one if number % 2 else stage.other).put(a_name(number), b"%d" % number, 9)
                for number in numbers
            )
        )
        got = await asyncio.gather(*(stage.one.get(a_name(number)) for number in numbers))
        assert got == [b"%d" % number for number in numbers]

    async def test_one_that_is_full_drops_what_was_put_first(self, stage: CacheStage) -> None:
        if not stage.bounded:
            pytest.skip("its server bounds it")
        await stage.one.put(a_name(0), b"old", KEEP_S)
        await stage.one.put(a_name(1), b"put again", KEEP_S)
        for number in range(2, 30):
            await stage.one.put(a_name(number), bytes(ROOM // 10), KEEP_S)
            await stage.one.put(a_name(1), b"put again", KEEP_S)
        assert await stage.one.get(a_name(0)) is None
        assert await stage.one.get(a_name(1)) == b"put again"

    async def test_one_that_is_full_of_one_answer_stays_of_use(self, stage: CacheStage) -> None:
        if not stage.bounded:
            pytest.skip("its server bounds it")
        await stage.one.put(a_name(1), bytes(2 * ROOM), KEEP_S)
        assert await stage.one.get(a_name(1)) is None
        await stage.one.put(a_name(2), b"small", KEEP_S)
        assert await stage.one.get(a_name(2)) == b"small"
