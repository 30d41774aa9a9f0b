"""Steps that are taken at once. Stores and queues share commits and waits among them."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar, cast

T = TypeVar("T")


async def side_by_side(steps: Iterable[Awaitable[T]]) -> list[T]:
    """What each returns.

    All are seen to their end before the first error is raised: none goes on behind the caller.
    """
    done = await asyncio.gather(*steps, return_exceptions=True)
    raise_first(done)
    return cast("list[T]", done)


def raise_first(done: Iterable[object]) -> None:
    """Raise the first of them that is an error."""
    for each in done:
        if isinstance(each, BaseException):
            raise each
