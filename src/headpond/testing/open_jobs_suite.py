"""What a job store must do for a queue that may lose messages. Give it a `stage` fixture."""

from dataclasses import dataclass

import pytest

from headpond.domain.job import Job
from headpond.ports.jobs import JobStore, OpenJobs
from headpond.testing.records import a_job, new_job


@dataclass(frozen=True)
class OpenStage:
    """The open jobs, and the job store whose they are."""

    open_jobs: OpenJobs
    jobs: JobStore


class OpenJobsSuite:
    """The contract of `headpond.ports.jobs.OpenJobs`."""

    @pytest.fixture
    async def stage(self) -> OpenStage:
        raise NotImplementedError("give the suite open jobs and their job store")

    async def add(self, stage: OpenStage, *jobs: Job) -> None:
        """Store the records as they are."""
        for job in jobs:
            await stage.jobs.add(new_job(job))

    async def test_only_queued_and_running_jobs_are_open(self, stage: OpenStage) -> None:
        queued, running = a_job().enqueued(1.0), a_job().enqueued(1.0).claimed("w", 2.0)
        await self.add(stage, a_job(), queued, a_job().cancelled(1.0), running)
        assert await stage.open_jobs.page(None, limit=10) == [queued, running]

    async def test_what_has_ended_is_open_no_more(self, stage: OpenStage) -> None:
        job = a_job().enqueued(1.0)
        await self.add(stage, job)
        assert await stage.jobs.swap(job.cancelled(2.0))
        assert await stage.open_jobs.page(None, limit=10) == []

    async def test_pages_follow_each_other_in_the_order_of_adding(self, stage: OpenStage) -> None:
        jobs = [a_job().enqueued(1.0) for _ in range(5)]
        await self.add(stage, *jobs)
        read: list[Job] = []
        while page := await stage.open_jobs.page(read[-1].id if read else None, limit=2):
            read += page
        assert read == jobs

    async def test_the_last_one_of_a_page_may_have_ended(self, stage: OpenStage) -> None:
        first, second = a_job().enqueued(1.0), a_job().enqueued(1.0)
        await self.add(stage, first, second)
        assert await stage.jobs.swap(first.cancelled(2.0))
        assert await stage.open_jobs.page(first.id, limit=2) == [second]
