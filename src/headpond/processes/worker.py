"""The worker process.

Stopping is the worker's own drain (see `services/worker`); a second signal cuts it short: what
still runs is handed back at once.
"""

import asyncio
import os
import socket

from headpond.errors import Unavailable
from headpond.processes.stopping import Stopping
from headpond.services.worker import Worker
from headpond.settings import Settings
from headpond.wiring.observers import start_logging
from headpond.wiring.workers import open_worker


async def run_worker(
    settings: Settings, pool: str, stopping: Stopping, name: str | None = None
) -> None:
    """Work for the pool until asked to stop. Raises SettingsError, MissingExtra, Unavailable.

    `name` is what a fleet knows the worker by.
    """
    start_logging(settings)
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    async with open_worker(settings, pool, name=name) as worker:
        worker.start()
        await _first_of(stopping.asked, worker.gave_up)
        await _drain(worker, settings.worker.drain_s, stopping)
        if worker.gave_up.is_set():
            grace_s = settings.pools[pool].engine.start_grace_s
            message = f"The engine of pool {pool!r} was not healthy within {grace_s:g} s."
            raise Unavailable(message, code="engine_never_healthy")


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _drain(worker: Worker, grace_s: float, stopping: Stopping) -> None:
    draining = asyncio.create_task(worker.stop(grace_s))
    urged = asyncio.create_task(stopping.urged.wait())
    await asyncio.wait({draining, urged}, return_when=asyncio.FIRST_COMPLETED)
    urged.cancel()
    if not draining.done():
        await worker.stop(0)
    await draining
