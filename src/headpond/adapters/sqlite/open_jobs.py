"""Records that have not ended, for a queue that lies elsewhere.

The index for them is made when somebody asks first: with queue and records in one file nobody does,
and every submit would pay for it.
"""

import sqlite3

from typing_extensions import override

from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.job import Job, JobId
from headpond.ports.jobs import OpenJobs


class SqliteOpenJobs(OpenJobs):
    """Beside the job store, on the same file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._indexed = False

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        if not self._indexed:
            await self._database.write(
                lambda connection: connection.execute(sql("index_open_jobs"))
            )
            self._indexed = True
        parameters = {"after": after, "limit": limit}

        def look(connection: sqlite3.Connection) -> list[Job]:
            rows = connection.execute(sql("open_jobs"), parameters)
            found = (records.readable(record) for (record,) in rows)
            return [job for job in found if job is not None]

        return await self._database.read(look)
