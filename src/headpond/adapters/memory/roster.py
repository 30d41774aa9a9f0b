"""The roster in this process's memory."""

from typing_extensions import override

from headpond.domain.pace import WorkerReport
from headpond.ports.roster import Roster


class MemoryRoster(Roster):
    """Nothing survives the process."""

    def __init__(self) -> None:
        self._reports: dict[str, WorkerReport] = {}

    @override
    async def report(self, report: WorkerReport) -> None:
        self._reports[report.worker] = report

    @override
    async def reports(self, pool: str) -> list[WorkerReport]:
        mine = (report for report in self._reports.values() if report.pool == pool)
        return sorted(mine, key=lambda report: report.at, reverse=True)

    @override
    async def forget(self, before: float, *, keep: int) -> int:
        stale = [
            report.worker
            for pool in {report.pool for report in self._reports.values()}
            for report in (await self.reports(pool))[keep:]
            if report.at < before
        ]
        for worker in stale:
            del self._reports[worker]
        return len(stale)
