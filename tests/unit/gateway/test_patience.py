"""One timer for many waits: each is cut off at its own time, and nobody else is."""

import asyncio

import pytest

from headpond.gateway.patience import Patience
from headpond.testing.virtual_time import run_virtually

LIMIT_S = 30.0


def test_each_wait_ends_at_its_own_time() -> None:
    async def experiment() -> None:
        loop, patience = asyncio.get_running_loop(), Patience(LIMIT_S)
        ended: list[tuple[str, float]] = []

        async def wait(name: str, begin_s: float, length_s: float) -> None:
            await asyncio.sleep(begin_s)
            try:
                await patience.wait(asyncio.sleep(length_s))
            except TimeoutError:
                name = f"{name} cut off"
            ended.append((name, loop.time()))

        await asyncio.gather(
            wait("short", 0, 1), wait("first", 0, 99), wait("second", 2, 99), wait("late", 200, 99)
        )

        cut_off = [("first cut off", 30), ("second cut off", 32), ("late cut off", 230)]
        assert ended == [("short", 1), *cut_off]

    run_virtually(experiment())


def test_a_wait_that_somebody_cancels_is_cancelled() -> None:
    async def experiment(after_s: float) -> None:
        patience = Patience(LIMIT_S)
        task = asyncio.create_task(patience.wait(asyncio.sleep(99)))
        await asyncio.sleep(after_s)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtually(experiment(1.0))
    run_virtually(experiment(LIMIT_S))


def test_a_task_goes_on_after_its_wait_was_cut_off() -> None:
    async def experiment() -> None:
        patience = Patience(LIMIT_S)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await patience.wait(asyncio.sleep(99))
        await patience.wait(asyncio.sleep(1))

    run_virtually(experiment())
