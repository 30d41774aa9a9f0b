"""Dead letters in a table of documents: the agenda has them by themselves."""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, jobs_behind
from headpond.adapters.documents.table import Table, at
from headpond.domain.job import Job, JobState
from headpond.ports.dead_letters import DeadLetters, DeadQuery


class DocumentDeadLetters(DeadLetters):
    """Those that are dead when they are read."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        after = "" if query.since is None else at(query.since)
        before = "" if query.until is None else at(query.until)
        dead = agenda(self._table, "dead", after=after, before=before)
        async for job in jobs_behind(self._table, dead):
            if job.state is JobState.DEAD and query.covers(job):
                yield job
