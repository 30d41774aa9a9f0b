"""A background duty: one tick, again and again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from headpond.ports.events import Listener
from headpond.services.complaints import Complaints


class Duty:
    """Runs `tick` every `every_s` seconds. A tick that fails is told and does not end the duty.

    What keeps failing in the same way is news once a minute.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], Awaitable[object]],
        *,
        every_s: float,
        listener: Listener,
    ) -> None:
        self._name = name
        self._tick = tick
        self._every_s = every_s
        self._complaints = Complaints(name, listener)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first tick comes at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End the duty, in the middle of a tick if need be. Works twice, and before start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._tick()
                self._complaints.went_well()
            except Exception as error:  # noqa: BLE001 - whatever it is, the duty goes on
                self._complaints.failed(error)
            await asyncio.sleep(self._every_s)
