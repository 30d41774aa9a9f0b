"""A duty ticks until it is stopped, whatever a tick does."""

import asyncio

from msgspec.structs import replace

from headpond.domain.facts import DutyFailed, DutyWellAgain, Fact
from headpond.errors import Unavailable
from headpond.services.complaints import failure
from headpond.services.duty import Duty
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Ear


def test_a_duty_ticks_at_once_and_then_again_and_again() -> None:
    ticks: list[float] = []

    async def experiment() -> None:
        async def tick() -> None:
            ticks.append(asyncio.get_running_loop().time())

        duty = Duty("count", tick, every_s=10, listener=Ear())
        duty.start()
        duty.start()
        await asyncio.sleep(25)
        await duty.stop()
        await duty.stop()
        await asyncio.sleep(25)

    run_virtually(experiment())
    assert ticks == [0.0, 10.0, 20.0]


def told(*fates: str) -> list[Fact]:
    """What is told of ticks that are ten seconds apart; those without a fate go well."""
    ear, left = Ear(), list(fates)

    async def experiment() -> None:
        async def tick() -> None:
            if fate := left.pop(0):
                raise RuntimeError(fate)

        duty = Duty("break", tick, every_s=10, listener=ear)
        duty.start()
        await asyncio.sleep(10 * len(fates) - 5)
        await duty.stop()

    run_virtually(experiment())
    assert not left
    return ear.facts


BROKEN = DutyFailed("break", "RuntimeError('broken')")
AGAIN = replace(BROKEN, news=False)


def test_a_tick_that_fails_is_told_and_does_not_end_the_duty() -> None:
    assert told("broken", "", "broken") == [BROKEN, DutyWellAgain("break", 10.0), BROKEN]
    assert told("broken", "other") == [BROKEN, DutyFailed("break", "RuntimeError('other')")]


def test_what_keeps_failing_in_the_same_way_is_told_once_a_minute() -> None:
    assert told(*["broken"] * 8) == [BROKEN, *[AGAIN] * 5, BROKEN, AGAIN]


def test_how_long_it_failed_is_told_once_it_goes_well() -> None:
    again = DutyWellAgain("break", 30.0)
    assert told("broken", "broken", "broken", "", "") == [BROKEN, AGAIN, AGAIN, again]


def test_what_may_work_later_by_itself_is_told_apart() -> None:
    assert failure("x", Unavailable("No.", code="c")) == DutyFailed("x", "c: No.", passes=True)
    assert failure("x", KeyError("y")) == DutyFailed("x", "KeyError('y')")
