"""Waiting for something of a job to change, whichever process changes it."""

import asyncio
import contextlib
from collections.abc import Generator

from headpond.adapters.postgres.bells import LOOK_AGAIN_S, Bell
from headpond.adapters.postgres.database import Database
from headpond.domain.job import JobId
from headpond.errors import HeadpondError

Waiter = tuple[int, asyncio.Event]


class Changes:
    """Whoever waits is told by the bell; now and then one look serves them all.

    `statement` gives a number for each of the jobs whose ids it gets that only grows.
    """

    def __init__(self, database: Database, bell: Bell, statement: str) -> None:
        self._database = database
        self._bell = bell
        self._statement = statement
        self._waiters: dict[JobId, list[Waiter]] = {}
        self._looker: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def hearing(self, job_id: JobId, number: int) -> Generator[asyncio.Event]:
        """An event that is set when the job's number may be above `number`."""
        with self._database.bells.hearing(self._bell, [job_id]) as heard:
            waiter = (number, heard)
            self._waiters.setdefault(job_id, []).append(waiter)
            if self._looker is None:
                self._looker = asyncio.create_task(self._look_while_needed(), name="changes")
            try:
                yield heard
            finally:
                self._waiters[job_id].remove(waiter)
                if not self._waiters[job_id]:
                    del self._waiters[job_id]
                if not self._waiters:
                    self._looker.cancel()
                    self._looker = None

    async def _look_while_needed(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            # If the store does not answer, whoever waits looks at the end of its time.
            with contextlib.suppress(HeadpondError):
                rows = await self._database.read(self._statement, list(self._waiters))
                for job_id, number in rows:
                    for known, heard in self._waiters.get(job_id, ()):
                        if (number or 0) > known:
                            heard.set()
