"""Run the real services on virtual time: nobody waits, sleepers wake in their order.

The event loop never blocks on a deadline; it moves its clock to the next one. A day of heartbeats
takes as long as the work in it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar

from typing_extensions import override

from headpond.ports.clock import Clock

T = TypeVar("T")

LEAST_S = 1e-8
"""A loop runs at once what is due within its clock's resolution (1e-9 s). Its clock would not move,
and whoever waits for a moment that is nearer than that would look at the same time for ever."""


class JumpingSelector(DefaultSelector):
    """Moves the time forward by the time-out instead of waiting for it."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise RuntimeError("every task waits and nothing is scheduled")
        self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next deadline. No threads, no sockets."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    @override
    def time(self) -> float:
        return self._jumping.now

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        now = self.time()
        later = max(when, now + LEAST_S) if when > now else when
        return super().call_at(later, callback, *args, context=context)


class LoopClock(Clock):
    """Wall time that goes with the running loop's time, `epoch` Unix seconds at its start."""

    def __init__(self, epoch: float = 1_000_000.0) -> None:
        self._epoch = epoch

    @override
    def now(self) -> float:
        return self._epoch + asyncio.get_running_loop().time()


def run_virtually(experiment: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end, as fast as the machine allows."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(experiment)
