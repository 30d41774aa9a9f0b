"""The roster in a SQLite file."""

import msgspec
from typing_extensions import override

from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.pace import WorkerReport
from headpond.ports.roster import Roster

_decode = msgspec.json.Decoder(WorkerReport).decode


class SqliteRoster(Roster):
    """Workers of every process that opens the file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def report(self, report: WorkerReport) -> None:
        row = (report.worker, report.pool, report.at, msgspec.json.encode(report).decode())
        await self._database.write(
            lambda connection: connection.execute(sql("put_report"), row), synced=False
        )

    @override
    async def reports(self, pool: str) -> list[WorkerReport]:
        return await self._database.read(
            lambda connection: [
                _decode(record) for (record,) in connection.execute(sql("reports_of_pool"), (pool,))
            ]
        )

    @override
    async def forget(self, before: float, *, keep: int) -> int:
        return await self._database.write(
            lambda connection: connection.execute(sql("forget_reports"), (before, keep)).rowcount,
            synced=False,
        )
