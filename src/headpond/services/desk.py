"""The desk: a team asks about its own jobs, and cancels them."""

import asyncio

from headpond.domain.identity import Identity
from headpond.domain.job import Job, JobId
from headpond.errors import InvalidRequest, NotFound
from headpond.ports.clock import Clock
from headpond.ports.jobs import Bodies, JobQuery, JobStore


class Desk:
    """Another team's job and no job look the same: NotFound."""

    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._closing = asyncio.Event()

    @property
    def closed(self) -> bool:
        """True once nobody is kept waiting any more."""
        return self._closing.is_set()

    def close(self) -> None:
        """End every wait now, as if its time were up: whoever waits gets a proper answer."""
        self._closing.set()

    async def job(self, job_id: JobId, identity: Identity) -> Job:
        """The record as it stands. Raises NotFound."""
        job = await self._jobs.get(job_id)
        if job is None or job.team != identity.team:
            message = f"There is no job {job_id!r}."
            raise NotFound(message, code="job_not_found", param="id")
        return job

    async def bodies(self, job: Job) -> Bodies:
        """Request and response of a job that was read here. Raises NotFound if erased since."""
        bodies = await self._jobs.bodies(job.id)
        if bodies is None:
            message = f"The request and result of job {job.id!r} were erased."
            raise NotFound(message, code="job_erased", param="id", status=410)
        return bodies

    async def find(self, query: JobQuery, identity: Identity) -> list[Job]:
        """The team's jobs that match, newest first; the query's own `team` is ignored."""
        return await self._jobs.find(
            JobQuery(team=identity.team, state=query.state, after=query.after, limit=query.limit)
        )

    async def change(self, job: Job, timeout_s: float) -> Job | None:
        """The next state of a job that was read here, None if none comes in time."""
        changing = asyncio.ensure_future(self._jobs.wait_for_change(job.id, job.version, timeout_s))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({changing, closing}, return_when=asyncio.FIRST_COMPLETED)
            return changing.result() if changing.done() else None
        finally:
            changing.cancel()
            closing.cancel()

    async def ended(self, job: Job, timeout_s: float) -> Job:
        """The job once it has ended, or as it stands after `timeout_s` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not job.state.terminal:
            changed = await self.change(job, until - loop.time())
            if changed is None:
                return job
            job = changed
        return job

    async def erase(self, job_id: JobId, identity: Identity) -> Job:
        """Remove the job's request and result for good; one that is erased already stays so.

        Raises NotFound, and InvalidRequest while the job has not ended.
        """
        while True:
            job = await self.job(job_id, identity)
            if job.erased_at is not None:
                return job
            if not job.state.terminal:
                message = f"The job has not ended ({job.state}); cancel it first."
                raise InvalidRequest(message, code="job_not_ended", param="id")
            after = job.erased(self._clock.now())
            if await self._jobs.erase(after):
                return after

    async def cancel(self, job_id: JobId, identity: Identity) -> Job:
        """Cancel the job; one that is cancelled already stays so.

        Raises NotFound, and InvalidRequest when the job has ended in another way. A worker that
        is running it learns that at its next heartbeat and aborts the engine's request.
        """
        while True:
            job = await self.job(job_id, identity)
            if job.state == "cancelled":
                return job
            if job.state.terminal:
                message = f"The job has ended ({job.state}); there is nothing to cancel."
                raise InvalidRequest(message, code="job_already_ended", param="id")
            after = job.cancelled(self._clock.now())
            if await self._jobs.swap(after):
                return after
