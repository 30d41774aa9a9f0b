"""The roster in a PostgreSQL database."""

import msgspec
from typing_extensions import override

from headpond.adapters.postgres.database import Database
from headpond.domain.pace import WorkerReport
from headpond.ports.roster import Roster

_decode = msgspec.json.Decoder(WorkerReport).decode


class PostgresRoster(Roster):
    """Workers of every process that opens the database. Not synced: a new report comes soon."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def report(self, report: WorkerReport) -> None:
        text = msgspec.json.encode(report).decode()
        await self._database.write(
            "put_report", report.worker, report.pool, report.at, text, synced=False
        )

    @override
    async def reports(self, pool: str) -> list[WorkerReport]:
        rows = await self._database.read("reports_of_pool", pool)
        return [_decode(record) for (record,) in rows]

    @override
    async def forget(self, before: float, *, keep: int) -> int:
        return len(await self._database.write("forget_reports", before, keep, synced=False))
