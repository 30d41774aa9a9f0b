"""The scaler process: it decides how many workers pools have, and they are its children.

Stopping: nothing is decided any more; the workers drain, each in its own time, or hand back at once
when it is urged; then another scaler may lead. If the scaler is killed its workers notice (see
`stopping`) and drain on their own.
"""

import asyncio
from collections.abc import Mapping
from weakref import WeakSet

from headpond.configuration.environment import variable_of
from headpond.processes.child import Child
from headpond.processes.stopping import Stopping
from headpond.settings import Settings
from headpond.wiring.observers import start_logging
from headpond.wiring.scalers import open_scalers


async def run_scaler(
    settings: Settings, environ: Mapping[str, str], stopping: Stopping, *, cold_start_s: float
) -> None:
    """Scale every pool until asked to stop. `environ` is what workers load the same settings from.

    `cold_start_s` is waited before each start of a worker. Raises SettingsError, Unavailable.
    """
    start_logging(settings)
    children = WeakSet[Child]()

    def launch(pool: str, name: str) -> Child:
        child = Child(
            name,
            ["worker", "--supervised", "--pool", pool, "--name", name],
            environ={**environ, **_metrics_port(settings, name)},
            own_session=False,
        )
        children.add(child)
        return child

    async def urge() -> None:
        await stopping.urged.wait()
        for child in list(children):
            child.urge()

    urging = asyncio.create_task(urge())
    try:
        async with open_scalers(settings, launch, cold_start_s=cold_start_s):
            await stopping.asked.wait()
    finally:
        urging.cancel()


def _metrics_port(settings: Settings, name: str) -> dict[str, str]:
    """Each worker has its own: the one in the settings plus its number, counted from 0."""
    first = settings.worker.metrics_port
    if not first:
        return {}
    number = int(name.rpartition("-")[2]) - 1
    return {variable_of(("worker", "metrics_port")): str(first + number)}
