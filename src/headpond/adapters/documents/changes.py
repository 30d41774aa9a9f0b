"""Waiting for records to change: the service tells nobody, so it is asked.

One poller asks for all that are waited for in this process, a hundred records a call. What changes
in this process is known without asking.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from headpond.domain.job import JobId
from headpond.errors import Unavailable

POLL_S = 0.25

Versions = Callable[[Sequence[JobId]], Awaitable[dict[JobId, int]]]


class Changes:
    """Who waits for which record to pass which version."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._waiting: dict[JobId, set[tuple[int, asyncio.Future[None]]]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def wait(self, job_id: JobId, version: int, timeout_s: float) -> bool:
        """True once the record is known to be above the version, False after so many seconds."""
        changed = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add((version, changed))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(timeout_s):
                await changed
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._leave(job_id, version, changed)

    def happened(self, job_id: JobId, version: int) -> None:
        """The record has this version now."""
        for passed, changed in self._waiting.get(job_id, ()):
            if version > passed and not changed.done():
                changed.set_result(None)

    async def close(self) -> None:
        """Ask no more."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])

    async def _poll(self) -> None:
        while self._waiting:
            with contextlib.suppress(Unavailable):
                for job_id, version in (await self._versions(list(self._waiting))).items():
                    self.happened(job_id, version)
            await asyncio.sleep(POLL_S)

    def _leave(self, job_id: JobId, version: int, changed: asyncio.Future[None]) -> None:
        waiters = self._waiting[job_id]
        waiters.discard((version, changed))
        if not waiters:
            del self._waiting[job_id]
