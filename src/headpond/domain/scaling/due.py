"""When waiting work has to be done, by minutes."""

from collections import defaultdict
from collections.abc import Iterable

from headpond.domain.job import Job
from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Due

MINUTE_S = 60.0


def by_minutes(jobs: Iterable[Job]) -> list[Due]:
    """The jobs that have deadlines, each by the end of its minute, the earliest first."""
    due: defaultdict[float, Backlog] = defaultdict(Backlog)
    for job in jobs:
        if job.deadline is not None:
            due[(job.deadline // MINUTE_S + 1) * MINUTE_S] += Backlog(1, job.work_tokens)
    return [Due(by, due[by]) for by in sorted(due)]
