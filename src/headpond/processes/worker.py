"""The worker process.

Stopping is the worker's own drain (see `services/worker`), because it was asked to, or because its
machine or task is about to go. A second signal cuts it short: what still runs is handed back at
once.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable
from typing import Any

from headpond.errors import Unavailable
from headpond.ports.notices import Notice, Notices
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
    notices = notices_of(settings, os.environ)
    async with open_worker(settings, pool, name=name) as worker:
        worker.start()
        noticed = asyncio.create_task(_notice(notices))
        await _first_of(stopping.asked.wait(), worker.gave_up.wait(), asyncio.shield(noticed))
        await _drain(worker, settings.worker.drain_s, noticed, stopping)
        if worker.gave_up.is_set():
            grace_s = settings.pools[pool].engine.start_grace_s
            message = f"The engine of pool {pool!r} was not healthy within {grace_s:g} s."
            raise Unavailable(message, code="engine_never_healthy")


async def _notice(notices: Notices | None) -> Notice:
    if notices is None:
        return await asyncio.get_running_loop().create_future()
    return await until_notice(notices)


async def _first_of(*awaited: Awaitable[object]) -> None:
    waits = [asyncio.ensure_future(each) for each in awaited]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _drain(
    worker: Worker, grace_s: float, noticed: asyncio.Task[Notice], stopping: Stopping
) -> None:
    """Stop within the grace, or sooner: as a notice leaves time, at once when urged."""
    urged = asyncio.create_task(stopping.urged.wait())
    stops = {asyncio.create_task(worker.stop(grace_s))}
    signals: set[asyncio.Task[Any]] = {noticed, urged}
    while not any(stop.done() for stop in stops):
        done, _ = await asyncio.wait({*stops, *signals}, return_when=asyncio.FIRST_COMPLETED)
        for signal in done & signals:
            left_s = 0.0 if signal is urged else _left_s(noticed.result(), grace_s)
            stops.add(asyncio.create_task(worker.stop(left_s)))
        signals -= done
    for signal in signals:
        signal.cancel()
    await asyncio.gather(*stops)


def _left_s(notice: Notice, grace_s: float) -> float:
    if notice.left_s is None:
        log.warning("%s: draining", notice.why)
        return grace_s
    log.warning("%s in %.0f s: draining", notice.why, notice.left_s)
    return max(0.0, notice.left_s - HAND_BACK_S)
