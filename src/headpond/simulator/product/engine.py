"""A modelled engine behind the port of the real ones."""

import asyncio
import math

import msgspec
from typing_extensions import override

from headpond.domain.job import Usage
from headpond.domain.outcome import Answered, Died, Outcome, Refused
from headpond.ports.engine import Engine, Gauges
from headpond.simulator.engine.core import Core, Sequence
from headpond.simulator.engine.core import Engine as EngineModel

ANSWER = b'{"choices":[]}'


class Prompt(msgspec.Struct, frozen=True):
    """The body of a simulated request: how long it is, and how long its answer will be."""

    prompt_tokens: int
    max_tokens: int


class ModelledEngine(Engine):
    """Answers when the model says, in the running loop's time."""

    def __init__(self, name: str, model: EngineModel) -> None:
        self.busy_s = 0.0
        self._name = name
        self._core = Core(model)
        self._loop = asyncio.get_running_loop()
        self._decoder = msgspec.json.Decoder(Prompt)
        self._running: dict[Sequence, asyncio.Future[Outcome]] = {}
        self._numbers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._planned = False
        self._up = True
        self._busy_since = math.inf

    @property
    @override
    def name(self) -> str:
        return self._name

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        prompt = self._decoder.decode(request)
        now = self._loop.time()
        self._numbers += 1
        sequence = Sequence(self._numbers, prompt.prompt_tokens, prompt.max_tokens, now)
        if not self._up:
            return Died("the machine is gone")
        if not self._core.holds(sequence):
            return Refused("longer than the cache")
        self._advance(now)
        self._core.submit(sequence)
        self._busy_since = min(self._busy_since, now)
        ended = self._running[sequence] = self._loop.create_future()
        self._plan()
        try:
            return await ended
        except asyncio.CancelledError:
            self._core.abort(sequence, self._loop.time())
            self._running.pop(sequence, None)
            self._plan()
            raise

    @override
    async def healthy(self) -> bool:
        return self._up

    @override
    async def models(self) -> list[str]:
        return ["model"]

    @override
    async def gauges(self) -> Gauges:
        core = self._core
        return Gauges(running=core.running, waiting=core.waiting, kv_usage=core.kv_usage)

    @override
    async def close(self) -> None:
        return

    def die(self) -> None:
        """The machine is taken away, with all that runs on it."""
        self._up = False
        for ended in self._running.values():
            ended.set_result(Died("the machine was taken away"))
        self._running.clear()
        self._rest(self._loop.time())
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self) -> None:
        """Look again once all that comes at this moment has come."""
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._planned = False
        if not self._up:
            return
        self._advance(self._loop.time())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (until := self._core.next_at()) < math.inf:
            self._timer = self._loop.call_at(until, self._look)

    def _advance(self, now: float) -> None:
        for sequence in self._core.advance(now):
            ended = self._running.pop(sequence, None)
            if ended is not None and not ended.done():
                usage = Usage(sequence.prompt_tokens, sequence.answer_tokens)
                ended.set_result(Answered(response=ANSWER, usage=usage))
        if not self._running:
            self._rest(now)

    def _rest(self, now: float) -> None:
        if self._busy_since < math.inf:
            self.busy_s += now - self._busy_since
            self._busy_since = math.inf
