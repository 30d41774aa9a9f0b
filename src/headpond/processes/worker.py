"""The worker process.

Stopping is the worker's own drain (see `services/worker.py`); a second signal cuts it short: what
still runs is handed back at once.
"""

import asyncio
import os
import socket

from headpond import wiring
from headpond.processes.stopping import Stopping
from headpond.services.worker import Worker
from headpond.settings import Settings


async def run_worker(settings: Settings, pool: str, stopping: Stopping) -> None:
    """Work for the pool until asked to stop. Raises SettingsError, MissingExtra."""
    wiring.start_logging(settings)
    name = f"{socket.gethostname()}-{os.getpid()}"
    async with wiring.open_worker(settings, pool, name=name) as worker:
        worker.start()
        await stopping.asked.wait()
        await _drain(worker, settings.worker.drain_s, stopping)


async def _drain(worker: Worker, grace_s: float, stopping: Stopping) -> None:
    draining = asyncio.create_task(worker.stop(grace_s))
    urged = asyncio.create_task(stopping.urged.wait())
    await asyncio.wait({draining, urged}, return_when=asyncio.FIRST_COMPLETED)
    urged.cancel()
    if not draining.done():
        await worker.stop(0)
    await draining
