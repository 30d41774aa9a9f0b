"""Whoever asks gateways: any of them, again when no answer comes, and not for ever.

They do not die, and do not believe that silence means no.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from headpond.domain.identity import Identity
from headpond.errors import TryLater
from headpond.ports.clock import Clock
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.hosts import Host
from headpond.testing.simulation.parts import GatewayPart
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.processes import ConnectionLost

T = TypeVar("T")

PATIENCE_S = 20.0
"""How long somebody keeps asking one thing."""

ANSWER_S = 8.0
AGAIN_S = (0.1, 1.0, 2.0)


class NoAnswer(Exception):
    """Whether the request took effect is not known."""


@dataclass(frozen=True)
class Outside:
    """What everybody outside of the processes of a world finds."""

    fates: Fates
    clock: Clock
    gateways: Sequence[Host[GatewayPart]]


class Asker:
    """One of a team. `name` tells it from the others."""

    def __init__(self, name: str, team: str, outside: Outside) -> None:
        self.name = name
        self.identity = Identity(team)
        self._fates = outside.fates
        self._plan = outside.fates.plan
        self._clock = outside.clock
        self._gateways = outside.gateways
        self._dice: random.Random = outside.fates.dice(name)

    def chance(self, share: float) -> bool:
        """True in this share of all cases."""
        return self._dice.random() < share

    async def insist(
        self, request: Callable[[GatewayPart], Coroutine[object, object, T]]
    ) -> T | None:
        """Ask until there is an answer; None when that takes too long."""
        until = self._clock.now() + PATIENCE_S
        while self._clock.now() < until:
            try:
                return await self.ask(request)
            except NoAnswer:
                await asyncio.sleep(self._dice.choice(AGAIN_S))
        return None

    async def ask(
        self,
        request: Callable[[GatewayPart], Coroutine[object, object, T]],
        *,
        within_s: float = ANSWER_S,
    ) -> T:
        """Ask some gateway. Raises NoAnswer, and whatever the gateway says that is an answer."""
        gateway = self._dice.choice(self._gateways)
        process, part = gateway.process, gateway.part
        if process is None or part is None:
            raise NoAnswer
        try:
            async with asyncio.timeout(within_s):
                answer = await process.ask(request(part))
        except (ConnectionLost, TryLater, TimeoutError) as error:
            raise NoAnswer from error
        if self._fates.strikes(Fault.ANSWER_LOST, self._dice):
            raise NoAnswer
        return answer
