"""The roster: who works for a pool, and how fast."""

from typing import Protocol

from headpond.domain.pace import WorkerReport


class Roster(Protocol):
    """The latest report of each worker. It need not survive a power cut: a new one comes soon."""

    async def report(self, report: WorkerReport) -> None:
        """Put the report in the place of the worker's last one."""
        ...

    async def reports(self, pool: str) -> list[WorkerReport]:
        """The last report of each worker of the pool, the newest first, also of those gone."""
        ...

    async def forget(self, before: float, *, keep: int) -> int:
        """Forget reports from before that Unix time, but of each pool the newest `keep`.

        Returns how many. What is kept says how fast the pool was when it last worked.
        """
        ...
