"""The worker process.

Stopping is the worker's own drain (see `services/worker`), because it was asked to, or because its
machine is about to go. A second signal cuts it short: what still runs is handed back at once.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable

from headpond.errors import Unavailable
from headpond.ports.notices import Notice
from headpond.processes.stopping import Stopping
from headpond.services.foresight import until_notice
from headpond.services.worker import Worker
from headpond.settings import Settings
from headpond.wiring.fleets import name_of_worker, notices_of
from headpond.wiring.observers import start_logging
from headpond.wiring.workers import open_worker

log = logging.getLogger(__name__)

HAND_BACK_S = 5.0
"""Of the time that a notice leaves, so much is for handing back what is not done."""


async def run_worker(
    settings: Settings, pool: str, stopping: Stopping, name: str | None = None
) -> None:
    """Work for the pool until asked to stop. Raises SettingsError, MissingExtra, Unavailable.

    `name` is what a fleet knows the worker by.
    """
    start_logging(settings)
    name = name or await name_of_worker(os.environ)
    async with open_worker(settings, pool, name=name) as worker:
        worker.start()
        noticed = asyncio.create_task(_notice(settings))
        await _first_of(stopping.asked.wait(), worker.gave_up.wait(), asyncio.shield(noticed))
        drain_s = settings.worker.drain_s
        if noticed.done():
            notice = noticed.result()
            log.warning("%s in %.0f s: draining", notice.why, notice.left_s)
            drain_s = max(0.0, min(drain_s, notice.left_s - HAND_BACK_S))
        noticed.cancel()
        await _drain(worker, drain_s, stopping)
        if worker.gave_up.is_set():
            grace_s = settings.pools[pool].engine.start_grace_s
            message = f"The engine of pool {pool!r} was not healthy within {grace_s:g} s."
            raise Unavailable(message, code="engine_never_healthy")


async def _notice(settings: Settings) -> Notice:
    notices = notices_of(settings, os.environ)
    if notices is None:
        return await asyncio.get_running_loop().create_future()
    return await until_notice(notices)


async def _first_of(*awaited: Awaitable[object]) -> None:
    waits = [asyncio.ensure_future(each) for each in awaited]
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
