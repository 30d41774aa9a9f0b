"""The alarm: ends the pauses of a worker when there may be something to do."""

import asyncio
import contextlib


class Alarm:
    """One per worker."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.stopping = False

    def ring(self) -> None:
        """A place has become free."""
        self._rung.set()

    def stop(self) -> None:
        """There is no pause any more."""
        self.stopping = True
        self._rung.set()

    async def pause(self, timeout_s: float) -> None:
        """Until it rings, at most `timeout_s` seconds."""
        if self.stopping:
            return
        self._rung.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
