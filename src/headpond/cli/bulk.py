"""Many jobs through one client: handed in a few at a time, then awaited together."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
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
from headpond.errors import (
    HeadpondError,
    InvalidRequest,
    NotFound,
    RateLimited,
    RequestError,
    Unavailable,
)

T = TypeVar("T")

AT_ONCE = 32
PATIENCE = 20
"""How often one thing is asked while the gateway has no room or is not there."""


async def submit_all(
    client: Client, bodies: Sequence[JobBody], *, keys: str, told: Callable[[str], None]
) -> list[str]:
    """Submit every body; returns the ids in order.

    Each has an idempotency key that begins with `keys`, so a submit whose answer was lost is
    repeated without making a second job. `told` hears each id as soon as it is known: they are all
    that is left of the jobs where this raises.
    """

    async def submit(number: int, body: JobBody) -> str:
        job_id = await submit_patiently(client, body, f"{keys}-{number}")
        told(job_id)
        return job_id

    return await _limited(submit(number, body) for number, body in enumerate(bodies))


async def submit_each(
    client: Client,
    bodies: Sequence[JobBody],
    *,
    keys: Sequence[str],
    began: Callable[[int], None],
    told: Callable[[int, str | RequestError], None],
) -> None:
    """Submit every body with its key; one that the gateway refuses keeps none from the others.

    `told` hears of each body, by its place, the job's id or why there is none; where this raises,
    what `began` heard of and `told` did not may be a job or none.
    """

    async def submit(place: int, body: JobBody) -> None:
        began(place)
        try:
            told(place, await submit_patiently(client, body, keys[place]))
        except (InvalidRequest, NotFound) as error:
            if not _is_about_the_body(error):
                raise
            told(place, error)

    await _limited(submit(place, body) for place, body in enumerate(bodies))


def _is_about_the_body(error: InvalidRequest | NotFound) -> bool:
    """Whether another body may be taken; a wrong URL is refused with every one."""
    if isinstance(error, NotFound):
        return error.code == "model_not_found"
    return error.code != "invalid_url"


async def ended_all(
    client: Client, ids: Iterable[str], *, told: Callable[[], None]
) -> list[RemoteJob]:
    """Wait for every job; returns them in order."""

    async def ended(job_id: str) -> RemoteJob:
        job = await ended_patiently(client, job_id)
        told()
        return job

    return await _limited(ended(job_id) for job_id in ids)


async def submit_patiently(client: Client, body: JobBody, key: str) -> str:
    """Submit; where the gateway says later, do it later."""
    return await _patiently(lambda: client.submit(body, idempotency_key=key))


async def ended_patiently(client: Client, job_id: str) -> RemoteJob:
    """The job once it has ended. A wait that is cut off costs nothing: the job goes on."""
    return await _patiently(lambda: client.ended(job_id))


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    for _ in range(PATIENCE - 1):
        try:
            return await ask()
        except (RateLimited, Unavailable) as error:
            await asyncio.sleep(error.retry_after_s)
    return await ask()


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


async def _limited(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each returns, in order.

    After the first that fails none is begun; it is raised once those under way have ended.
    """
    numbered = enumerate(work)
    results: dict[int, T] = {}
    failures: list[HeadpondError] = []

    async def take() -> None:
        while not failures and (taken := next(numbered, None)) is not None:
            number, coroutine = taken
            try:
                results[number] = await coroutine
            except HeadpondError as error:
                failures.append(error)

    await asyncio.gather(*(take() for _ in range(AT_ONCE)))
    if failures:
        raise failures[0]
    return [results[number] for number in sorted(results)]
