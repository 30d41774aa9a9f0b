"""A duty ticks until it is stopped, whatever a tick does."""

import asyncio

from headpond.domain.facts import DutyFailed
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


def test_a_tick_that_fails_is_told_and_does_not_end_the_duty() -> None:
    ear = Ear()

    async def experiment() -> None:
        async def tick() -> None:
            raise RuntimeError("broken")

        duty = Duty("break", tick, every_s=10, listener=ear)
        duty.start()
        await asyncio.sleep(15)
        await duty.stop()

    run_virtually(experiment())
    assert ear.facts == [DutyFailed("break", "RuntimeError('broken')")] * 2
