"""Waiting for something of a job to change, whichever process changes it."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.job import JobId

LOOK_AGAIN_S = 1.0
"""A safety net: how long a change can stay unseen if a wake-up is lost."""

QUIET_SHARE = 4.0
MAX_QUIET_S = 0.1
"""After a look that took t seconds, the next one comes 4 t later, but not later than this: with
thousands of waiters on a busy database, looking leaves the reader most of its time."""

Waiter = tuple[int, asyncio.Future[None]]


class Changes:
    """One look at the database serves everybody who waits.

    `statement` gives a number for each of the jobs whose ids it gets, as JSON, that only grows.
    """

    def __init__(self, database: Database, statement: str) -> None:
        self._database = database
        self._statement = statement
        self._waiters: dict[JobId, list[Waiter]] = {}
        self._looker: asyncio.Task[None] | None = None

    def listen(self, job_id: JobId, number: int) -> asyncio.Future[None]:
        """A future that is done once a number above `number` was seen after this call.

        Whoever asked cancels it when it is not needed any more.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (number, future)
        self._waiters.setdefault(job_id, []).append(waiter)
        future.add_done_callback(lambda _: self._forget(job_id, waiter))
        if self._looker is None:
            self._looker = asyncio.create_task(self._look_while_needed(), name="changes")
        return future

    def _forget(self, job_id: JobId, waiter: Waiter) -> None:
        waiters = self._waiters[job_id]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[job_id]

    async def _look_while_needed(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiters:
                seen, began = self._database.commits, loop.time()
                ids = list(self._waiters)
                found = await self._database.read(
                    lambda connection, ids=ids: _numbers(connection, self._statement, ids)
                )
                for job_id, number in found:
                    self._tell(JobId(job_id), number or 0)
                await asyncio.sleep(min(MAX_QUIET_S, (loop.time() - began) * QUIET_SHARE))
                await self._database.wait_for_commit(seen, LOOK_AGAIN_S)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            for waiters in list(self._waiters.values()):
                for _, future in waiters:
                    if not future.done():
                        future.set_exception(error)
        finally:
            self._looker = None

    def _tell(self, job_id: JobId, number: int) -> None:
        for known, future in self._waiters.get(job_id, ()):
            if number > known and not future.done():
                future.set_result(None)


def _numbers(
    connection: sqlite3.Connection, statement: str, ids: Sequence[JobId]
) -> list[tuple[str, int | None]]:
    return connection.execute(sql(statement), (json.dumps(ids),)).fetchall()
