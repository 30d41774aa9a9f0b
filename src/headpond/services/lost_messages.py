"""Lost messages: jobs that wait for a message which the queue has lost get a new one.

A queue apart from the records may lose what it acknowledged: a Redis that syncs each second loses
the last one when it crashes, and all of it when somebody empties it. The records know better. This
duty walks over those that are queued or running and asks the queue whether it still holds their
messages.

Nothing that works is disturbed: a message is there before its record says queued, until after the
record has ended. What is missing all the same belongs to a record that changed meanwhile, and to
reissue that one changes nothing; or it was lost.
"""

from collections.abc import Sequence

from headpond.domain.job import Job, JobId
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import OpenJobs
from headpond.ports.queue import MessageLookup, message_of
from headpond.services.reissuing import send_again

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
            lost = await send_again(await self._missing(jobs), self._delivery, self._listener)
            reissued += lost
            whole += not lost
        return reissued

    async def _missing(self, jobs: Sequence[Job]) -> list[Job]:
        waiting = {job.ticket: job for job in jobs}
        missing = await self._queue.missing([message_of(job) for job in jobs])
        return [waiting[message.ticket] for message in missing]
