"""Many jobs through one client: handed in a few at a time, then awaited together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from headpond.cli.console import err
from headpond.client import Client, JobBody, RemoteJob
from headpond.errors import RateLimited, Unavailable

T = TypeVar("T")

AT_ONCE = 32
PATIENCE = 20
"""How often one submit is tried while the gateway has no room or is not there."""


async def submit_all(
    client: Client, bodies: Sequence[JobBody], *, keys: str, told: Callable[[], None]
) -> list[str]:
    """Submit every body; returns the ids in order.

    Each has an idempotency key that begins with `keys`, so a submit whose answer was lost is
    repeated without making a second job. `told` is called after each.
    """

    async def submit(number: int, body: JobBody) -> str:
        job_id = await submit_patiently(client, body, f"{keys}-{number}")
        told()
        return job_id

    return await _limited([submit(number, body) for number, body in enumerate(bodies)])


async def ended_all(
    client: Client, ids: Iterable[str], *, told: Callable[[], None]
) -> list[RemoteJob]:
    """Wait for every job; returns them in order."""

    async def ended(job_id: str) -> RemoteJob:
        job = await client.ended(job_id)
        told()
        return job

    return await _limited([ended(job_id) for job_id in ids])


async def submit_patiently(client: Client, body: JobBody, key: str) -> str:
    """Submit; where the gateway says later, do it later."""
    for _ in range(PATIENCE - 1):
        try:
            return await client.submit(body, idempotency_key=key)
        except (RateLimited, Unavailable) as error:
            await asyncio.sleep(error.retry_after_s)
    return await client.submit(body, idempotency_key=key)


@asynccontextmanager
async def progress(*, quiet: bool) -> AsyncGenerator[Progress]:
    """Bars on standard error, where a person looks at it."""
    bars = Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    )
    with bars:
        yield bars


async def _limited(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(coroutine: Coroutine[Any, Any, T]) -> T:
        async with room:
            return await coroutine

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(coroutine)) for coroutine in work]
    return [task.result() for task in tasks]
