"""A simulated process dies as a killed one does: nothing of it runs any more."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from headpond.testing.simulation.processes import (
    ConnectionLost,
    Process,
    ProcessClock,
    ProcessLoop,
    bury,
)

_held: list[Process] = []
"""As a world holds its dead until it buries them."""


def in_a_world(experiment: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the experiment on a loop of its own; whatever is unhandled there fails."""
    loop = ProcessLoop()
    _held.clear()
    unhandled: list[Any] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    try:
        loop.run_until_complete(experiment())
    finally:
        bury(loop)
        loop.close()
    assert unhandled == []


def process(after_turn: Callable[[Process], None] = lambda _: None, **given: float) -> Process:
    _held.append(Process("process", skew_s=given.get("skew_s", 0.0), after_turn=after_turn))
    return _held[-1]


def test_nothing_of_a_killed_process_runs_any_more() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            told.append("begins")
            await asyncio.sleep(1)
            told.append("goes on")
        except BaseException:
            told.append("is told")
            raise
        finally:
            told.append("cleans up")

    async def experiment() -> None:
        killed = process()
        killed.start(work())
        await asyncio.sleep(0.5)
        killed.kill()
        await asyncio.sleep(10)
        assert told == ["begins"]

    in_a_world(experiment)


def test_whoever_asked_a_process_that_dies_learns_that_the_connection_is_gone() -> None:
    async def experiment() -> None:
        asked = process()
        asking = asyncio.create_task(asked.ask(asyncio.sleep(5)))
        await asyncio.sleep(1)
        asked.kill()
        with pytest.raises(ConnectionLost):
            await asking
        with pytest.raises(ConnectionLost):
            await asked.ask(asyncio.sleep(5))

    in_a_world(experiment)


def test_a_process_can_be_killed_after_any_of_its_turns() -> None:
    async def work(told: list[int]) -> None:
        for number in range(5):
            told.append(number)
            await asyncio.sleep(0)

    async def experiment() -> None:
        for last in range(1, 6):
            told: list[int] = []

            def kill(dying: Process, last: int = last) -> None:
                if dying.turns == last:
                    dying.kill()

            with pytest.raises(ConnectionLost):
                await process(kill).ask(work(told))
            assert told == list(range(last))

    in_a_world(experiment)


def test_what_a_killed_process_failed_with_is_nobodys_business() -> None:
    async def fail() -> None:
        raise ValueError

    async def experiment() -> None:
        failing = process(Process.kill)
        with pytest.raises(ConnectionLost):
            await failing.ask(fail())

    in_a_world(experiment)


def test_a_call_that_is_under_way_outlives_its_caller_and_a_wait_does_not() -> None:
    told: list[str] = []

    async def call(name: str) -> None:
        await asyncio.sleep(2)
        told.append(name)

    async def experiment() -> None:
        caller = process()
        caller.call_outside(call("write"), waits=False)
        caller.call_outside(call("wait"), waits=True)
        await asyncio.sleep(1)
        caller.kill()
        await asyncio.sleep(10)
        assert told == ["write"]

    in_a_world(experiment)


def test_a_frozen_process_goes_on_where_it_stood() -> None:
    told: list[float] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            await asyncio.sleep(1)
            told.append(loop.time())

    async def experiment() -> None:
        frozen = process()
        working = asyncio.create_task(frozen.ask(work()))
        await asyncio.sleep(1.5)
        frozen.freeze()
        await asyncio.sleep(5)
        assert told == [1.0]
        frozen.thaw()
        await working
        assert told == [1.0, 6.5, 7.5]

    in_a_world(experiment)


def test_a_timer_that_came_due_in_the_frost_can_still_be_cancelled() -> None:
    told: list[str] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        later = loop.call_later(2, told.append, "later")
        loop.call_later(1, later.cancel)
        await asyncio.sleep(3)

    async def experiment() -> None:
        frozen = process()
        asking = asyncio.create_task(frozen.ask(work()))
        await asyncio.sleep(0.5)
        frozen.freeze()
        await asyncio.sleep(5)
        frozen.thaw()
        await asking
        assert told == []

    in_a_world(experiment)


def test_what_is_done_for_a_process_goes_by_its_clock() -> None:
    async def experiment() -> None:
        clock = ProcessClock()
        fast = process(skew_s=3.0)

        async def read() -> float:
            return clock.now()

        now = clock.now()
        assert await fast.ask(read()) == now + 3
        assert await fast.call_outside(read(), waits=False) == now + 3
        fast.skew_s = -2.0
        assert await fast.ask(read()) == now - 2

    in_a_world(experiment)
