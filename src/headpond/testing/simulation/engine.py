"""An engine that answers, refuses, fails, hangs, and dies with everything that it runs.

It answers each run of a request in other words, as engines do, so that whatever puts the words of
two runs together is found out.
"""

import asyncio
from collections import Counter

import msgspec
from typing_extensions import override

from headpond.domain.deltas import Choices
from headpond.domain.job import Usage
from headpond.domain.outcome import (
    Answered,
    Broke,
    Died,
    Misconfigured,
    NotNow,
    Outcome,
    Refused,
)
from headpond.ports.engine import Engine, Gauges, Tell
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.processes import Process

HANG_S = 15.0
"""What hangs has failed by then: the worker's own time-out."""

BACK_S = (0.2, 1.0, 3.0)

FAILURES: tuple[Outcome, ...] = (
    Refused("no"),
    NotNow("full"),
    NotNow("full", retry_after_s=0.0),
    NotNow("full", retry_after_s=3.0),
    Misconfigured("a wrong key"),
    Broke("oops"),
    Broke("oops again"),
)


WORDS = 4


class Prompt(msgspec.Struct, frozen=True):
    """The request of a simulated job: which order it is, and whether it kills what runs it."""

    order: str
    poison: bool = False


def words(order: str, run: str) -> list[str]:
    """What an engine says to an order in one run, word by word."""
    return [f"{order}|{run}|{number} " for number in range(WORDS)]


def is_answer(text: str, order: str) -> bool:
    """Whether the text is what one run said to the order, from its beginning to its end."""
    run = text.removeprefix(f"{order}|").partition("|")[0]
    return text == "".join(words(order, run))


class Message(msgspec.Struct, frozen=True):
    """Of the assistant."""

    content: str
    role: str = "assistant"


class Choice(msgspec.Struct, frozen=True):
    """The only one."""

    message: Message
    index: int = 0


class Completion(msgspec.Struct, frozen=True):
    """An engine's response, as far as the product reads it."""

    choices: list[Choice]


def completion(text: str) -> bytes:
    """The response that says this."""
    return msgspec.json.encode(Completion([Choice(Message(text))]))


def text_of(response: bytes) -> str:
    """What a response says."""
    return msgspec.json.decode(response, type=Completion).choices[0].message.content


def _piece(word: str) -> Choices:
    return [{"index": 0, "delta": {"content": word}}]


def _tell_nobody(_: Choices) -> None:
    """For a request that is not streamed."""


class SimulatedEngine:
    """One server. `broke` counts, for each order, how often it failed in a way that is charged."""

    def __init__(self, name: str, fates: Fates) -> None:
        self.name = name
        self.up = True
        self.broke: Counter[str] = Counter()
        self._fates = fates
        self._dice = fates.dice(name)
        self._lease_s = fates.plan.pool.lease_s
        self._long_s = 1.5 * self._lease_s
        self._running: dict[asyncio.Future[Outcome], str] = {}
        self._runs = 0

    @property
    def running(self) -> list[str]:
        """The orders that it works on."""
        return list(self._running.values())

    async def run(self, request: bytes, tell: Tell = _tell_nobody) -> Outcome:
        """Run a request until it is done, the engine dies, or nobody wants it any more."""
        if not self.up:
            return NotNow("nobody is there")
        prompt = msgspec.json.decode(request, type=Prompt)
        self._runs += 1
        said = words(prompt.order, f"{self.name}.{self._runs}")
        loop = asyncio.get_running_loop()
        ending: asyncio.Future[Outcome] = loop.create_future()
        self._running[ending] = prompt.order
        outcome, after_s = self._fate(prompt, "".join(said))
        timers = [loop.call_later(after_s, self._end, ending, outcome)]
        if not isinstance(outcome, Refused | NotNow | Misconfigured):
            timers += [
                loop.call_later(after_s * (number + 1) / (WORDS + 1), tell, _piece(word))
                for number, word in enumerate(said)
            ]
        try:
            ended = await ending
        finally:
            for timer in timers:
                timer.cancel()
            del self._running[ending]
        if isinstance(ended, Broke):
            self.broke[prompt.order] += 1
        return ended

    def die(self) -> None:
        """Take down all that runs, and come back later."""
        if not self.up:
            return
        self.up = False
        self._fates.note(self.name, f"dies with {len(self._running)}")
        for ending in self._running:
            if not ending.done():
                ending.set_result(Died("the engine went away"))
        asyncio.get_running_loop().call_later(self._dice.choice(BACK_S), self._come_back)

    def _come_back(self) -> None:
        self.up = True

    def _end(self, ending: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
        if isinstance(outcome, Died):
            self.die()
        elif not ending.done():
            ending.set_result(outcome)

    def _fate(self, prompt: Prompt, text: str) -> tuple[Outcome, float]:
        """What becomes of a request, and after how many seconds."""
        after_s = self._dice.choice((0.05, 0.3, 0.3, 1.0, 1.0, self._lease_s / 3, self._long_s))
        if prompt.poison:
            return Died("killed by a request"), after_s
        if self._fates.strikes(Fault.ENGINE_DIED, self._dice, times=2):
            return Died("died by itself"), after_s
        if self._fates.strikes(Fault.ENGINE_FAILED, self._dice, times=10):
            return self._dice.choice(FAILURES), after_s
        if self._fates.strikes(Fault.ENGINE_HUNG, self._dice, times=2):
            return Broke("no answer in time", "engine_timeout"), HANG_S
        return Answered(response=completion(text), usage=Usage(1, 1)), after_s


class EngineLink(Engine):
    """The engine as a process reaches it: when the process dies, its requests are dropped."""

    def __init__(self, engine: SimulatedEngine, process: Process) -> None:
        self._engine = engine
        self._process = process

    @property
    @override
    def name(self) -> str:
        return self._engine.name

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        return await self._process.call_outside(self._engine.run(request), waits=True)

    @override
    async def stream(self, model: str, request: bytes, tell: Tell) -> Outcome:
        return await self._process.call_outside(self._engine.run(request, tell), waits=True)

    @override
    async def healthy(self) -> bool:
        await asyncio.sleep(0)
        return self._engine.up

    @override
    async def models(self) -> list[str]:
        return ["model"]

    @override
    async def gauges(self) -> Gauges:
        await asyncio.sleep(0)
        return Gauges(running=len(self._engine.running)) if self._engine.up else Gauges()

    @override
    async def close(self) -> None:
        return
