"""Queues that are elsewhere than the store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.errors import MissingExtra, SettingsError
from headpond.ports.clock import Clock
from headpond.ports.queue import Queue


@asynccontextmanager
async def open_queue(url: str, clock: Clock) -> AsyncGenerator[Queue]:
    """The queue that a URL names. Raises SettingsError and MissingExtra."""
    match url.partition("://")[0]:
        case "sqs":
            try:
                from headpond.adapters.aws import calls, queue
            except ImportError as error:
                raise MissingExtra("aws", "A queue on SQS") from error

            async with queue.open_queue(calls.place_of(url), clock) as opened:
                yield opened
        case _:
            raise SettingsError(f"queue: {url!r} names no queue that Headpond has.")
