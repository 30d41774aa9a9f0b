"""Ports that fail on demand: each wraps a port and is the port.

A fault strikes the n-th call, before its effect or after it: what a caller sees when its process
dies between two steps, or when an answer is lost on the way.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Any, Literal, Protocol, TypeVar, cast

from typing_extensions import override

Port = TypeVar("Port")
T = TypeVar("T")

When = Literal["before", "after"]


class Line(Protocol):
    """What stands between a caller and a port."""

    async def through(self, call: Coroutine[object, object, T]) -> T:
        """Let the call through, or not. Its `__name__` is the verb."""
        ...


class Crash(BaseException):
    """The process dies here: nobody may catch it."""


class Faults(Line):
    """Shared by the wrappers of one test; calls are counted from the last `arm`, from 0."""

    def __init__(self) -> None:
        self.calls = 0
        self._strike: tuple[int, When, BaseException] | None = None

    def arm(
        self, call: int | None, when: When = "before", error: BaseException | None = None
    ) -> None:
        """Strike at that call, once; with None, only count."""
        self.calls = 0
        self._strike = None if call is None else (call, when, error or Crash())

    @property
    def struck(self) -> bool:
        """True once the armed fault has struck."""
        return self._strike is None

    @override
    async def through(self, call: Coroutine[object, object, T]) -> T:
        number = self.calls
        self.calls += 1
        if self._strike is None or self._strike[0] != number:
            return await call
        _, when, error = self._strike
        self._strike = None
        if when == "before":
            call.close()
        else:
            await call
        raise error


def behind(port: Port, line: Line) -> Port:
    """The port, each of its calls by way of the line.

    A read in pieces is one call. To begin, to end and to have ended what is open for a while, as a
    blob is that is written, are a call each; so are those of what is open.
    """
    return cast("Port", _Behind(port, line))


class _Behind:
    def __init__(self, port: object, line: Line) -> None:
        self._port = port
        self._line = line

    def __getattr__(self, name: str) -> object:
        verb = getattr(self._port, name)
        if name == "close":  # to let go of a connection takes none
            return verb
        if inspect.iscoroutinefunction(verb):
            return partial(self._call, verb)
        if inspect.isasyncgenfunction(verb):
            return partial(self._read, verb)
        if inspect.isasyncgenfunction(inspect.unwrap(verb)):
            return partial(self._open, verb)
        return verb

    async def _call(
        self, verb: Callable[..., Coroutine[object, object, T]], *args: Any, **options: Any
    ) -> T:
        return await self._line.through(verb(*args, **options))

    async def _read(
        self, verb: Callable[..., AsyncGenerator[T]], *args: Any, **options: Any
    ) -> AsyncGenerator[T]:
        await self._line.through(_read())
        async with aclosing(verb(*args, **options)) as pieces:
            async for piece in pieces:
                yield piece

    @asynccontextmanager
    async def _open(
        self, verb: Callable[..., AbstractAsyncContextManager[T]], *args: Any, **options: Any
    ) -> AsyncGenerator[T]:
        async with verb(*args, **options) as opened:
            await self._line.through(_open())
            yield behind(opened, self._line)
            await self._line.through(_open())
        await self._line.through(_open())


async def _open() -> None:
    """A call whose effect is elsewhere."""


async def _read() -> None:
    """A call whose answer comes in pieces."""
