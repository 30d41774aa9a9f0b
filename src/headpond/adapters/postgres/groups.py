"""Group commit: what is asked for while the last group is on its way goes with the next one.

Many concurrent submits or settlements share one statement, one way to the server and one fsync. An
item that fails does not harm its neighbours: the group is rolled back and each runs again alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar, cast

from headpond.adapters.postgres.connection import Connection
from headpond.errors import TryLater

T = TypeVar("T")
Item = TypeVar("Item")
Work = Callable[[Connection, Sequence[Item]], Awaitable[Sequence[T | BaseException]]]
"""Does the same to each item, in one transaction; returns a result for each, or its failure."""

GROUP = 256
"""Most items of one transaction; bounds how long the first waits for the last."""


class _Asked(Generic[Item, T]):
    """An item on its way, and where its result goes."""

    __slots__ = ("future", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()


class Groups:
    """`commit` runs a work on its items, durably."""

    def __init__(self, commit: Callable[[Work[Any, Any], Sequence[Any]], Awaitable[Any]]) -> None:
        self._commit = commit
        self._waiting: dict[Hashable, list[_Asked[Any, Any]]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def join(self, work: Work[Item, T], item: Item) -> T:
        """What the work makes of the item, once that is durable. Raises what the work raises."""
        asked: _Asked[Item, T] = _Asked(item)
        waiting = self._waiting.get(work)
        if waiting is None:
            self._waiting[work] = [asked]
            task = asyncio.create_task(self._send(work), name="group")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        else:
            waiting.append(asked)
        return await asked.future

    async def close(self) -> None:
        """Until everything that was asked for is done."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def _send(self, work: Work[Any, Any]) -> None:
        while waiting := self._waiting[work]:
            group, self._waiting[work] = waiting[:GROUP], waiting[GROUP:]
            await self._run(work, group)
        del self._waiting[work]

    async def _run(self, work: Work[Any, Any], group: Sequence[_Asked[Any, Any]]) -> None:
        try:
            results = await self._commit(work, [asked.item for asked in group])
        except Exception as error:  # noqa: BLE001 - it goes to whoever asked
            if len(group) > 1 and not isinstance(error, TryLater):
                for asked in group:
                    await self._run(work, [asked])
                return
            for asked in group:
                if not asked.future.done():
                    asked.future.set_exception(error)
            return
        for asked, result in zip(group, cast("Sequence[Any]", results), strict=True):
            if asked.future.done():
                continue
            if isinstance(result, BaseException):
                asked.future.set_exception(result)
            else:
                asked.future.set_result(result)
