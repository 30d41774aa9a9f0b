"""Records that have not ended, for a queue that may lose messages.

Those without a deadline are in the agenda by their ids. Those with one are there by their
deadlines, so each page looks at all of them.
"""

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, jobs_at, up_to
from headpond.adapters.documents.table import Key, Table
from headpond.domain.job import Job, JobId
from headpond.ports.jobs import OpenJobs


class DocumentOpenJobs(OpenJobs):
    """Beside the job store, in the same table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        bounded = sorted([key async for key in agenda(self._table, "deadline")], key=_id)
        while True:
            keys = await up_to(agenda(self._table, "open", after=after or ""), limit)
            keys += [key for key in bounded if after is None or _id(key) > after]
            keys = sorted(keys, key=_id)[:limit]
            jobs = [job for job in await jobs_at(self._table, keys) if not job.state.terminal]
            # The index may lag behind: where all of these have ended the next ones may be open.
            if jobs or not keys:
                return jobs
            after = _id(keys[-1])


def _id(key: Key) -> JobId:
    return JobId(key.pk.removeprefix("job#"))
