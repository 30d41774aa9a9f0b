"""How a process reaches its store: a call goes out, takes effect, and its answer comes back.

Each of the three can fail, and the process can die between any two of them.
"""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar, cast

import msgspec
from typing_extensions import override

from headpond.errors import HeadpondError, Unavailable
from headpond.testing.faults import Line
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.processes import Process

T = TypeVar("T")

WAITS = frozenset({"receive", "claim", "wait_for_change", "read"})
"""These hold the connection until something comes, and change nothing until then."""

READS = WAITS - {"receive", "claim"} | {
    "known",
    "get",
    "bodies",
    "find",
    "due",
    "depth",
    "backlog",
    "reports",
    "of_team",
    "open_of",
    "reads",
    "tally",
    "unended",
    "present",
    "expired",
    "stored_bytes",
    "written_before",
    "look",
    "untold",
    "page",
    "missing",
    "_read",
}
LOST_S = 1.0
"""Until the caller takes a call for lost."""

LATENCIES_S = (0.0, 0.0, 0.001, 0.003)


class Returned(msgspec.Struct, Generic[T], frozen=True):
    """The call's result."""

    value: T


class StoreLine(Line):
    """One process's connection; nothing goes wrong on it if it is `spared`."""

    def __init__(
        self, process: Process, fates: Fates, dice: random.Random, *, spared: bool
    ) -> None:
        self._process = process
        self._fates = fates
        self._dice = dice
        self._spared = spared
        lease_s = fates.plan.pool.lease_s
        # Around the moments at which a lease is renewed or lapses.
        self._slow_s = (
            0.2,
            lease_s / 3,
            2 * lease_s / 3,
            lease_s - 0.001,
            lease_s,
            lease_s + 0.001,
            2 * lease_s,
        )

    @override
    async def through(self, call: Coroutine[object, object, T]) -> T:
        waits = call.__name__ in WAITS
        serving = self._process.call_outside(self._serve(call), waits=waits)
        if waits:
            serving.add_done_callback(lambda _: call.close(), context=self._process.outside)
        ended = await (serving if waits else asyncio.shield(serving))
        if isinstance(ended, Returned):
            return ended.value
        raise ended

    async def _serve(self, call: Coroutine[object, object, T]) -> Returned[T] | HeadpondError:
        try:
            return await self._served(call)
        finally:
            call.close()  # of a call that was cut off on its way nothing was begun

    async def _served(self, call: Coroutine[object, object, T]) -> Returned[T] | HeadpondError:
        verb = call.__name__
        await self._travel()
        if refusal := self._refusal(verb):
            await asyncio.sleep(refusal.retry_after_s)
            return refusal
        try:
            ended = Returned(await call)
        except HeadpondError as error:
            ended = error
        self._fates.note(self._process.name, f"{verb} {_shown(ended)}")
        await self._travel()
        if self._strikes(Fault.ANSWER_LOST):
            await asyncio.sleep(LOST_S)
            return _away("the answer was lost")
        return ended

    def _refusal(self, verb: str) -> Unavailable | None:
        """Why the call has no effect, None if it has."""
        if self._fates.disk_full and verb not in READS:
            return _away("the disk is full")
        if self._strikes(Fault.REFUSED):
            return _away("not now")
        if self._strikes(Fault.CALL_LOST):
            return _away("the call was lost")
        return None

    def _strikes(self, fault: Fault) -> bool:
        return not self._spared and self._fates.strikes(fault, self._dice)

    async def _travel(self) -> None:
        if self._strikes(Fault.SLOW):
            await asyncio.sleep(self._dice.choice(self._slow_s))
        elif latency_s := self._dice.choice(LATENCIES_S):
            await asyncio.sleep(latency_s)


def _away(why: str) -> Unavailable:
    return Unavailable(f"The store does not answer: {why}.", code="store_unavailable")


def _shown(ended: Returned[Any] | HeadpondError) -> str:
    match ended:
        case Returned(value) if isinstance(value, list):
            return str(len(cast("list[object]", value)))
        case Returned(value) if isinstance(value, bool | int | None):
            return str(value)
        case Returned(value):
            return type(value).__name__
        case _:
            return repr(ended)
