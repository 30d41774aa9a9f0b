"""A time limit for many waits at once, with one timer for all of them.

`asyncio.timeout` sets a timer and clears it each time. Most bodies arrive together with their head,
and for these that costs several times as much as reading them.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

T = TypeVar("T")


class Patience:
    """Cuts off what takes longer than `limit_s`. A task waits for one thing at a time."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._ends: dict[asyncio.Task[object], float] = {}  # the first to end comes first
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """What it returns. Raises TimeoutError if it takes too long: it is cancelled then."""
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._ends[task] = loop.time() + self._limit_s
        if self._timer is None:
            self._timer = loop.call_later(self._limit_s, self._look)
        try:
            return await awaitable
        except asyncio.CancelledError:
            # Cancelled by us, and by nobody else in the same moment?
            if task in self._ends or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            self._ends.pop(task, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end > loop.time():
                self._timer = loop.call_at(end, self._look)
                return
            del self._ends[task]
            task.cancel()
