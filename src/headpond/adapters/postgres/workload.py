"""What comes to a pool, and when it has to be done, counted in a PostgreSQL database."""

from typing_extensions import override

from headpond.adapters.postgres.database import Database
from headpond.domain.lane import Lane, lanes_of
from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Due
from headpond.ports.workload import Workload


class PostgresWorkload(Workload):
    """A trigger counts what is sent to the database's own queue, whichever process sends it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def arrived(self, pool: str) -> Backlog:
        lanes = [str(lane) for lane in lanes_of(pool)]
        ((jobs, work_tokens),) = await self._database.read("arrived", lanes)
        return Backlog(jobs, work_tokens)

    @override
    async def count(self, lane: Lane, sent: Backlog) -> None:
        row = (str(lane), sent.jobs, int(sent.work_tokens))
        await self._database.write("count_arrivals", *row, synced=False)

    @override
    async def due(self, pool: str) -> list[Due]:
        rows = await self._database.read("due_work", pool)
        return [Due(by, Backlog(jobs, work_tokens)) for by, jobs, work_tokens in rows]
