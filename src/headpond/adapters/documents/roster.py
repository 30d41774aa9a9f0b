"""The roster in a table of documents, in one partition."""

from operator import attrgetter

import msgspec
from typing_extensions import override

from headpond.adapters.documents.table import Key, Put, Table, raw
from headpond.domain.pace import WorkerReport
from headpond.ports.roster import Roster

PARTITION = "roster"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(WorkerReport).decode


class DocumentRoster(Roster):
    """Workers of every process that uses the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def report(self, report: WorkerReport) -> None:
        await self._table.write(
            Put({"pk": PARTITION, "sk": report.worker, "record": _encode(report)})
        )

    @override
    async def reports(self, pool: str) -> list[WorkerReport]:
        return [report for report in await self._all() if report.pool == pool]

    @override
    async def forget(self, before: float, *, keep: int) -> int:
        reports = await self._all()
        stale = [
            report
            for pool in {report.pool for report in reports}
            for report in [each for each in reports if each.pool == pool][keep:]
            if report.at < before
        ]
        await self._table.delete_many([Key(PARTITION, report.worker) for report in stale])
        return len(stale)

    async def _all(self) -> list[WorkerReport]:
        """The newest first."""
        reports = [_decode(raw(item)) for item in await self._table.under(PARTITION)]
        return sorted(reports, key=attrgetter("at"), reverse=True)
