"""Records that have not ended, for a queue that may lose messages.

Those without a deadline are in the agenda by their ids, and a page goes on where the last one
ended. Those with one are there by their deadlines: they are listed when a look begins, and
remembered until it ends. Whatever comes in the meantime is found by the next look.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, jobs_at, merged, up_to
from headpond.adapters.documents.table import SHARDS, Key, Table
from headpond.domain.job import Job, JobId
from headpond.ports.jobs import OpenJobs

_id = attrgetter("sort")


class DocumentOpenJobs(OpenJobs):
    """Beside the job store, in the same table. A look begins without `after`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._bounded: list[Key] | None = None

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        if after is None or self._bounded is None:
            bounded = [_by_id(key) async for key in agenda(self._table, "deadline")]
            self._bounded = sorted(bounded, key=_id)
        while keys := await up_to(self._open(after or "", self._bounded, limit), limit):
            jobs = [job for job in await jobs_at(self._table, keys) if not job.state.terminal]
            # The index may lag behind: where all of these have ended the next ones may be open.
            if jobs:
                return jobs
            after = JobId(keys[-1].sort)
        self._bounded = None
        return []

    def _open(self, after: str, bounded: Sequence[Key], limit: int) -> AsyncIterator[Key]:
        unbounded = agenda(self._table, "open", after=after, at_once=limit // SHARDS + 1)
        return merged([unbounded, _from(bounded, bisect_right(bounded, after, key=_id))])


def _by_id(key: Key) -> Key:
    return Key(key.pk, key.sk, key.pk.removeprefix("job#"))


async def _from(keys: Sequence[Key], begin: int) -> AsyncIterator[Key]:
    for number in range(begin, len(keys)):
        yield keys[number]
