"""Clients of one container that die, wait for each other, or take turns as dice say."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from typing_extensions import override

from headpond.adapters.azure.account import Place, open_container
from headpond.adapters.azure.container import Container, Operation, Refused
from headpond.adapters.azure.documents import Json
from headpond.testing.clocks import ManualClock
from tests.emulators.cosmos_server import KEY, Cosmos

Moment = Callable[[str], Awaitable[None]]
"""Is told `read` or `write` before each call, and `written` after each write."""


LATE = 0.1
"""Of the batches."""


class Died(BaseException):
    """The process is gone."""


class Watched(Container):
    """Tells what it does."""

    def __init__(self, proxy: Any, moment: Moment) -> None:
        super().__init__(proxy, ManualClock())
        self._moment = moment

    @override
    async def read(self, pk: str, document_id: str) -> Json | None:
        await self._moment("read")
        return await super().read(pk, document_id)

    @override
    async def write(self, pk: str, operations: Sequence[Operation]) -> list[str]:
        await self._moment("write")
        etags = await super().write(pk, operations)
        await self._moment("written")
        return etags


def dies_at(number: int) -> Moment:
    """Whose client dies at that of its moments in which something is written, or was."""
    left = number

    async def moment(name: str) -> None:
        nonlocal left
        if name != "read":
            left -= 1
            if left < 0:
                raise Died

    return moment


class Turns:
    """Of many calls one at a time is let through, and the dice say which."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._waiting: list[asyncio.Future[None]] = []
        self._busy = False

    async def turn(self) -> None:
        """Wait to be chosen."""
        chosen = asyncio.get_running_loop().create_future()
        self._waiting.append(chosen)
        await chosen

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None]:
        """Nobody else is at it."""
        await self.turn()
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def drive(self, clients: Sequence[asyncio.Task[Any]]) -> None:
        """Until all clients are through."""
        while not all(client.done() for client in clients):
            await _settled()
            if self._waiting and not self._busy:
                chosen = self._dice.randrange(len(self._waiting))
                self._waiting.pop(chosen).set_result(None)


class TakesTurns(Container):
    """Dies at a call with this chance, before it or after it, and makes none from then on.

    Some batches arrive once more, whenever the dice say: what a client sends again because it heard
    nothing may be slow. Those are added to `late`.
    """

    def __init__(
        self,
        proxy: Any,
        turns: Turns,
        dice: random.Random,
        dies: float,
        late: list[asyncio.Task[None]],
    ) -> None:
        super().__init__(proxy, ManualClock())
        self._turns = turns
        self._dice = dice
        self._dies = dies
        self._late = late
        self._dead = False

    @override
    async def read(self, pk: str, document_id: str) -> Json | None:
        async with self._turns.call():
            return await super().read(pk, document_id)

    @override
    async def ask(
        self,
        query: str,
        parameters: Mapping[str, str],
        *,
        pk: str | None = None,
        at_once: int = 100,
    ) -> AsyncGenerator[Json]:
        async with self._turns.call():
            rows = [row async for row in super().ask(query, parameters, pk=pk, at_once=at_once)]
        for row in rows:
            yield row

    @override
    async def write(self, pk: str, operations: Sequence[Operation]) -> list[str]:
        async with self._turns.call():
            fate = self._dice.random()
            if self._dead or fate < self._dies / 2:
                self._dead = True
                raise Died
            if self._dice.random() < LATE:
                self._late.append(asyncio.create_task(self._once_more(pk, operations)))
            etags = await super().write(pk, operations)
            if fate < self._dies:
                self._dead = True
                raise Died
            return etags

    async def _once_more(self, pk: str, operations: Sequence[Operation]) -> None:
        async with self._turns.call():
            with contextlib.suppress(Refused):
                await super().write(pk, operations)


@asynccontextmanager
async def a_container(cosmos: Cosmos) -> AsyncGenerator[Any]:
    """The SDK's proxy of one that is new."""
    async with open_container(Place(cosmos.url, "tests", "pond", KEY)) as proxy:
        yield proxy


async def _settled() -> None:
    """Whoever can go on without a call has done so."""
    for _ in range(12):
        await asyncio.sleep(0)
