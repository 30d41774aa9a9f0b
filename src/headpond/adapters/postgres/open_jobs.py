"""Records that have not ended, for a queue that lies elsewhere.

The index for them is made when somebody asks first: with queue and records in one database nobody
does, and every submit would pay for it. While a long table is indexed, nothing is written.
"""

from typing_extensions import override

from headpond.adapters.postgres.connection import Connection, sql
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.schema import LOCK
from headpond.domain.job import Job, JobId
from headpond.domain.stored import readable
from headpond.ports.jobs import OpenJobs


class PostgresOpenJobs(OpenJobs):
    """Beside the job store, in the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._indexed = False

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        if not self._indexed:
            await self._database.transaction(_index)
            self._indexed = True
        rows = await self._database.read("open_jobs", after, limit)
        found = (readable(record) for (record,) in rows)
        return [job for job in found if job is not None]


async def _index(connection: Connection) -> None:
    # Of several gateways one makes it; the others find it.
    await connection.execute("SET LOCAL statement_timeout = 0")
    await connection.fetch("SELECT pg_advisory_xact_lock($1)", LOCK)
    await connection.execute(sql("index_open_jobs"))
