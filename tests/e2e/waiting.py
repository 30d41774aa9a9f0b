"""Waiting for what other processes make of a job."""

from headpond.domain.job import Job, JobId, JobState
from headpond.wiring.stores import Store


async def until(store: Store, job_id: JobId, state: JobState) -> Job:
    """The job once it is in that state."""
    while True:
        job = await store.jobs.get(job_id)
        assert job is not None
        if job.state is state:
            return job
        await store.jobs.wait_for_change(job_id, job.version, 5.0)
