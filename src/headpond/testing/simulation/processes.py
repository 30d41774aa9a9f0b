"""Processes that die as from SIGKILL and stand still as from SIGSTOP, all on one event loop.

Whatever a process runs, it runs in a context that names it, and the loop asks before each turn of a
task or a timer whether that process is alive. One that was killed gets no further turn: its tasks
stay where they wait, so that no `finally` and no `except` of theirs runs, and are held until the
world has ended, so that the garbage collector does not run them either. One that is frozen gets its
turns, in their order, when it is thawed.

A turn is the unit of everything: a process can be killed between any two of its turns. What others
do for it, such as its store, goes on.
"""

import asyncio
import contextlib
import inspect
import warnings
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from typing_extensions import override

from headpond.testing.virtual_time import LoopClock, VirtualTimeLoop

T = TypeVar("T")

_living: ContextVar["Process | None"] = ContextVar("living", default=None)
"""Whose life this code shares; None for the world, which does not die."""

_clock_of: ContextVar["Process | None"] = ContextVar("clock_of", default=None)
"""Whose clock this code reads: a process's also where another machine serves its call."""

SWEEP_AT = 64


class ConnectionLost(Exception):
    """The process that was asked is gone, or cannot be reached."""


class Process:
    """A process with a clock of its own. `after_turn` is called at the end of each of its turns.

    `outside` is the context of what others do for it: its clock, not its life.
    """

    def __init__(
        self, name: str, *, skew_s: float, after_turn: Callable[["Process"], None]
    ) -> None:
        self.name = name
        self.skew_s = skew_s
        self.turns = 0
        self.alive = True
        self.after_turn = after_turn
        self._frozen = False
        self._held: list[Turn] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._sweep_at = SWEEP_AT
        self._waits: dict[asyncio.Task[Any], None] = {}  # in their order, as a set has none
        self._answers: dict[asyncio.Future[Any], None] = {}
        self._inside = _context(living=self, clock_of=self)
        self.outside = _context(living=None, clock_of=self)

    def start(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run the work in this process."""
        return asyncio.get_running_loop().create_task(work, context=self._inside)

    def call_outside(self, work: Coroutine[object, object, T], *, waits: bool) -> asyncio.Task[T]:
        """Run the work where this process's death does not end it, by this process's clock.

        With `waits` it is a mere wait, which ends when the connection breaks.
        """
        task = asyncio.get_running_loop().create_task(work, context=self.outside)
        if waits:
            self._waits[task] = None
            task.add_done_callback(self._forget_wait, context=self.outside)
        return task

    async def ask(self, request: Coroutine[object, object, T]) -> T:
        """What the process answers to somebody outside. Raises ConnectionLost if it dies first."""
        if not self.alive:
            request.close()
            raise ConnectionLost(self.name)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._answers[answer] = None
        serving = self.start(request)
        # In the process's own context: a dead or frozen process does not answer.
        serving.add_done_callback(lambda done: _pass_on(done, answer), context=self._inside)
        try:
            return await answer
        finally:
            self._answers.pop(answer, None)

    def kill(self) -> None:
        """SIGKILL: no further turn. What it has sent to others takes its course."""
        self.alive = False
        self._held.clear()
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()  # what it failed with in its last turn, nobody will learn
        for wait in list(self._waits):
            wait.cancel()
        for answer in list(self._answers):
            if not answer.done():
                answer.set_exception(ConnectionLost(self.name))

    def freeze(self) -> None:
        """SIGSTOP."""
        self._frozen = True

    def thaw(self) -> None:
        """SIGCONT: what came due in the meantime comes now, in its order."""
        self._frozen = False
        held, self._held = self._held, []
        for turn in held:
            turn.again()

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """Its tasks that have not ended."""
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task of this process."""
        self._tasks.append(task)
        if len(self._tasks) >= self._sweep_at:
            self._sweep_at = max(SWEEP_AT, 2 * len(self.unfinished()))

    def _forget_wait(self, task: asyncio.Task[Any]) -> None:
        self._waits.pop(task, None)

    def turn(self, turn: "Turn") -> None:
        """Take a turn, or not."""
        if not self.alive:
            return
        if self._frozen:
            self._held.append(turn)
            return
        self.turns += 1
        turn.callback(*turn.args)
        self.after_turn(self)


class Turn:
    """A callback of a process, to be called when the loop comes to it."""

    __slots__ = ("args", "callback", "context", "handle", "loop", "process")

    handle: asyncio.Handle

    def __init__(
        self,
        process: Process,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
        loop: "ProcessLoop",
    ) -> None:
        self.process = process
        self.callback = callback
        self.args = args
        self.context = context
        self.loop = loop

    def __call__(self) -> None:
        # One that was held may have been cancelled by a turn before it.
        if not self.handle.cancelled():
            self.process.turn(self)

    def again(self) -> None:
        """Put it behind everything that is ready."""
        self.loop.call_soon_for_the_world(self, self.context)


class ProcessLoop(VirtualTimeLoop):
    """A loop on virtual time that gives turns to processes."""

    @override
    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context  # an empty one is falsy
        process = context.get(_living)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        turn = Turn(process, callback, args, context, self)
        turn.handle = super().call_soon(turn, context=context)
        return turn.handle

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context  # an empty one is falsy
        process = context.get(_living)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        turn = Turn(process, callback, args, context, self)
        handle = turn.handle = super().call_at(when, turn, context=context)
        return handle

    @override
    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        context = copy_context() if context is None else context  # an empty one is falsy
        task = super().create_task(coro, name=name, context=context)
        process = context.get(_living)
        if process is not None:
            process.owns(task)
        return task

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """When a generator is collected is chance, so nobody gets a turn for it."""
        self._asyncgens.discard(agen)  # type: ignore[attr-defined]

    def call_soon_for_the_world(self, callback: Callable[[], object], context: Context) -> None:
        """As `call_soon`, whoever's context it is."""
        super().call_soon(callback, context=context)


class ProcessClock(LoopClock):
    """Wall time as the process reads it on whose behalf the code runs."""

    @override
    def now(self) -> float:
        process = _clock_of.get()
        return super().now() + (0.0 if process is None else process.skew_s)


def _context(*, living: Process | None, clock_of: Process) -> Context:
    context = copy_context()
    context.run(_living.set, living)
    context.run(_clock_of.set, clock_of)
    return context


def _pass_on(done: "asyncio.Task[T]", answer: "asyncio.Future[T]") -> None:
    if done.cancelled():
        return
    error = done.exception()  # also where nobody waits any more: then it has been noticed
    if answer.done():
        return
    if error is None:
        answer.set_result(done.result())
    else:
        answer.set_exception(error)


def bury(loop: asyncio.AbstractEventLoop) -> None:
    """Once the world has ended: let go of what was killed, whatever it then does."""
    asyncio.set_event_loop(loop)  # what calls `gather` on its way out would make one of its own
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - meant
    generators: list[Any] = list(loop._asyncgens)  # type: ignore[attr-defined] # noqa: SLF001 - meant
    # What generators wait for first: once their tasks are closed, nobody can reach it any more.
    for suspended in [*(one.ag_await for one in generators), *(one.get_coro() for one in tasks)]:
        for each in [*_not_begun(suspended), suspended]:
            with contextlib.suppress(BaseException), warnings.catch_warnings(action="ignore"):
                each.close()
    asyncio.set_event_loop(None)


def _not_begun(suspended: Any) -> list[Any]:
    """The coroutines that were given to one that has not begun, and so will never await them."""
    if not inspect.iscoroutine(suspended):
        return []
    if inspect.getcoroutinestate(suspended) != inspect.CORO_CREATED:
        return []
    return [
        each for each in inspect.getcoroutinelocals(suspended).values() if inspect.iscoroutine(each)
    ]
