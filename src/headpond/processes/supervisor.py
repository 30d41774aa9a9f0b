"""The whole system on one machine: a gateway process and worker processes, kept running.

The supervisor binds the gateway's port itself and lets the gateway inherit it. So a port that is in
use is noticed before anything starts, and while a gateway that died is started again, connections
wait in the socket's queue instead of being refused.

Stopping, in order: workers drain, while the gateway still tells their results to whoever waits and
still takes jobs, which are durable and run at the next start; then the gateway ends. A second
request to stop kills what is left. If the supervisor itself is killed, its children notice (see
`stopping`) and do the same on their own.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

import aiohttp

from headpond.configuration.environment import variable_of
from headpond.processes.child import Child
from headpond.processes.gateway import listen, url_of
from headpond.processes.stopping import Stopping
from headpond.settings import Settings
from headpond.wiring.observers import start_logging

KILL_AFTER_S = 15.0
HAND_BACK_S = 2.0
"""What workers that are urged have, to hand back what they run."""
"""On top of the grace that workers have: how long an end may take before it is enforced."""


@dataclass(frozen=True)
class Plan:
    """So many workers for each pool; or as many as a scaler decides, each after a pause."""

    workers: int = 1
    autoscale: bool = False
    cold_start_s: float = 0.0


class Supervisor:
    """`environ` is what the children load the same settings from.

    With a scaler the workers are its children, and it drains them when it is asked to end.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], plan: Plan) -> None:
        start_logging(settings)
        self._settings = settings
        self._environ = environ
        self._listening = listen(settings.gateway)
        self.gateway = self._gateway()
        self.workers = (
            [self._scaler(plan.cold_start_s)] if plan.autoscale else self._workers(plan.workers)
        )

    @property
    def url(self) -> str:
        """Where the gateway is reached from this machine."""
        return url_of(self._listening)

    @contextlib.asynccontextmanager
    async def running(self, stopping: Stopping) -> AsyncGenerator[asyncio.Future[None]]:
        """Start everything; at the end stop it in order, at once if `stopping` urges.

        Yields a future that is done when a child refuses to run: its settings are wrong, and it
        has said so.
        """
        everyone = (self.gateway, *self.workers)
        keeping = [asyncio.create_task(child.keep(), name=child.name) for child in everyone]
        refused = asyncio.ensure_future(_first(keeping))
        try:
            yield refused
        finally:
            await self._stop(stopping)
            refused.cancel()
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)
            self._listening.close()

    async def ready(self) -> None:
        """Returns once the gateway answers."""
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:  # noqa: PLR2004
                            return
                await asyncio.sleep(0.05)

    async def _stop(self, stopping: Stopping) -> None:
        ending = asyncio.create_task(self._stop_in_order())
        urged = asyncio.create_task(stopping.urged.wait())
        timeout_s = self._settings.worker.drain_s + KILL_AFTER_S
        await asyncio.wait({ending, urged}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        urged.cancel()
        if not ending.done():
            for worker in self.workers:
                worker.urge()
            await asyncio.wait({ending}, timeout=HAND_BACK_S)
        if not ending.done():
            for child in (*self.workers, self.gateway):
                child.kill()
        await ending

    async def _stop_in_order(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        await self.gateway.stop()

    def _gateway(self) -> Child:
        number = self._listening.fileno()
        return Child(
            "gateway",
            ["gateway", "--supervised", "--listening", str(number)],
            environ=self._environ,
            file_descriptors=[number],
        )

    def _scaler(self, cold_start_s: float) -> Child:
        arguments = ["scaler", "--supervised", "--cold-start", str(cold_start_s)]
        return Child("scaler", arguments, environ=self._environ)

    def _workers(self, count: int) -> list[Child]:
        names = [pool for pool in self._settings.pools for _ in range(count)]
        return [
            Child(
                f"worker {number} of {pool}",
                ["worker", "--supervised", "--pool", pool],
                environ={**self._environ, **self._metrics_port(number)},
            )
            for number, pool in enumerate(names)
        ]

    def _metrics_port(self, number: int) -> dict[str, str]:
        """Each worker has its own: the one in the settings, the next one, and so on."""
        first = self._settings.worker.metrics_port
        if not first:
            return {}
        return {variable_of(("worker", "metrics_port")): str(first + number)}


async def _first(tasks: list[asyncio.Task[None]]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def inherited(number: int) -> socket.socket:
    """The listening socket that the supervisor handed down."""
    return socket.socket(fileno=number)
