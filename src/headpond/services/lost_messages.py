"""Lost messages: jobs that wait for a message which the queue has lost get a new one.

A queue apart from the records may lose what it acknowledged: a Redis that syncs each second loses
the last one when it crashes, and all of it when somebody empties it. The records know better. This
duty walks over those that are queued or running and asks the queue whether it still holds their
messages.

Nothing that works is disturbed: a message is there before its record says queued, until after the
record has ended. What is missing all the same belongs to a record that changed meanwhile, and to
reissue that one changes nothing; or it was lost.
"""

import asyncio
from collections.abc import Sequence

from headpond.domain.facts import Reaped
from headpond.domain.job import Job, JobId
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import OpenJobs
from headpond.ports.queue import MessageLookup, message_of

PAGE = 256
PAGES = 20
"""Without a loss, so much of one tick: 5,000 jobs, for a tenth of a second of work."""


class LostMessages:
    """Any number may run at once: compare-and-set decides who acts."""

    def __init__(
        self, jobs: OpenJobs, queue: MessageLookup, delivery: Delivery, listener: Listener
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._delivery = delivery
        self._listener = listener
        self._after: JobId | None = None

    async def tick(self) -> int:
        """Go on where the last look ended, as long as there are losses; returns how many."""
        reissued, whole = 0, 0
        while whole < PAGES:
            jobs = await self._jobs.page(self._after, limit=PAGE)
            self._after = jobs[-1].id if jobs else None
            if not jobs:
                break
            lost = await self._send_again(jobs)
            reissued += lost
            whole += not lost
        return reissued

    async def _send_again(self, jobs: Sequence[Job]) -> int:
        waiting = {job.ticket: job for job in jobs}
        missing = await self._queue.missing([message_of(job) for job in jobs])
        # Side by side: stores and queues share commits among those who call at once.
        return sum(await asyncio.gather(*(self._reissue(waiting[m.ticket]) for m in missing)))

    async def _reissue(self, job: Job) -> bool:
        reissued = await self._delivery.reissue(job)
        if reissued:
            self._listener.hear(Reaped(job, "reissued"))
        return reissued
