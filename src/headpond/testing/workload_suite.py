"""What every workload must do. Subclass `WorkloadSuite` and give it a `stage` fixture."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from headpond.domain.job import Job
from headpond.domain.lane import Lane, Priority
from headpond.domain.quote import Backlog
from headpond.domain.scaling.observation import Due
from headpond.ports.jobs import JobStore
from headpond.ports.queue import Queue
from headpond.ports.workload import Workload
from headpond.testing.queue_suite import BATCH, INTERACTIVE, OTHER_POOL, message
from headpond.testing.records import a_job, new_job

SEVERAL = 8


async def counted() -> None:
    """Nothing is left to be written: what is sent is counted in the same step."""


@dataclass(frozen=True)
class WorkloadStage:
    """`written` returns when everything that was sent to the queue is counted."""

    workload: Workload
    jobs: JobStore
    queue: Queue
    written: Callable[[], Awaitable[None]] = counted


class WorkloadSuite:
    """The contract of `headpond.ports.workload`. SPEC S1."""

    @pytest.fixture
    async def stage(self) -> WorkloadStage:
        raise NotImplementedError("give the suite a workload with its job store and queue")

    async def test_at_first_nothing_has_arrived_and_nothing_is_due(
        self, stage: WorkloadStage
    ) -> None:
        assert await stage.workload.arrived("default") == Backlog(0, 0)
        assert await stage.workload.due("default") == []

    async def test_what_is_sent_is_counted_in_its_pool(self, stage: WorkloadStage) -> None:
        await stage.queue.send([message("a", tokens=3), message("b", INTERACTIVE, tokens=4)])
        await stage.queue.send([message("c", OTHER_POOL, tokens=9)])
        await stage.written()
        assert await stage.workload.arrived("default") == Backlog(2, 7)
        assert await stage.workload.arrived("other") == Backlog(1, 9)

    async def test_what_was_done_has_arrived_all_the_same(self, stage: WorkloadStage) -> None:
        await stage.queue.send([message("a")])
        leases = await stage.queue.receive([BATCH], limit=1, lease_s=10)
        await stage.queue.ack(leases)
        await stage.queue.send([message("b")])
        await stage.written()
        assert await stage.workload.arrived("default") == Backlog(2, 20)

    async def test_what_others_count_is_added(self, stage: WorkloadStage) -> None:
        await stage.workload.count(BATCH, Backlog(2, 30))
        await stage.workload.count(INTERACTIVE, Backlog(1, 5))
        await stage.workload.count(Lane("other", Priority.BATCH), Backlog(7, 70))
        assert await stage.workload.arrived("default") == Backlog(3, 35)

    async def test_of_counts_that_meet_none_is_lost(self, stage: WorkloadStage) -> None:
        counts = (stage.workload.count(BATCH, Backlog(1, 10)) for _ in range(SEVERAL))
        await asyncio.gather(*counts)
        assert await stage.workload.arrived("default") == Backlog(SEVERAL, 10 * SEVERAL)

    async def test_what_waits_is_due_by_the_minute(self, stage: WorkloadStage) -> None:
        await self.add(
            stage,
            a_job(deadline=1_000_081.0, work_tokens=5),
            a_job(deadline=1_000_025.0, work_tokens=2).enqueued(1.0),
            a_job(deadline=1_000_079.0, work_tokens=3).enqueued(1.0),
            a_job(deadline=1_000_040.0, work_tokens=100, pool="other"),
        )
        assert await stage.workload.due("default") == [
            Due(1_000_080.0, Backlog(2, 5)),
            Due(1_000_140.0, Backlog(1, 5)),
        ]

    async def test_what_runs_or_has_ended_or_has_no_deadline_is_not_due(
        self, stage: WorkloadStage
    ) -> None:
        bound = a_job(deadline=1_000_079.0)
        await self.add(stage, a_job(), bound.enqueued(1.0).claimed("w", 2.0))
        await self.add(stage, a_job(deadline=1_000_079.0).cancelled(1.0))
        assert await stage.workload.due("default") == []

    async def add(self, stage: WorkloadStage, *jobs: Job) -> None:
        """Store the records as they are."""
        for job in jobs:
            await stage.jobs.add(new_job(job))
