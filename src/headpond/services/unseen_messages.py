"""Unseen messages: jobs of which no worker has seen anything for long get a new message.

The queues of clouds cannot be asked for a message, and may lose one for good: they keep it for some
days only, somebody empties or deletes the queue, a dead-letter queue of theirs takes it. The record
would say `queued` or `running` for ever. So its message is taken for lost once nobody has received
it for `unseen_s`, and a new one is sent under a new ticket.

That may be wrong: a long backlog waits as well. Then the job goes on from the tail of its lane,
its time begins anew, and the old message means nothing when it comes (`domain/claim.py`). Until
then the lane counts both.

A run whose message is lost cannot renew its lease, and ends without a word; its record is reached
by the same rule. One that takes longer than `unseen_s` by itself would be taken from its worker.
"""

from headpond.domain.job import JobId
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import OpenJobs
from headpond.services.reissuing import send_again

PAGE = 100
PAGES = 20
"""Without a loss, so much of one tick: 2,000 jobs that were accepted that long ago."""


class UnseenMessages:
    """Any number may run at once: compare-and-set decides who acts."""

    def __init__(
        self,
        jobs: OpenJobs,
        delivery: Delivery,
        *,
        clock: Clock,
        listener: Listener,
        unseen_s: float,
    ) -> None:
        self._jobs = jobs
        self._delivery = delivery
        self._clock = clock
        self._listener = listener
        self._unseen_s = unseen_s
        self._after: JobId | None = None

    async def tick(self) -> int:
        """Go on where the last look ended, as long as there are losses; returns how many.

        A look begins anew where all are too young to be lost, since those after them are younger:
        as long as jobs do not wait for days, a tick reads one page. In a table of documents a line
        stands where its batch began, so what is lost may be found as much later as that took.
        """
        before = self._clock.now() - self._unseen_s
        reissued, seen = 0, 0
        while seen < PAGES:
            jobs = await self._jobs.page(self._after, limit=PAGE)
            if all(job.accepted_at > before for job in jobs):
                self._after = None
                break
            self._after = jobs[-1].id
            unseen = [job for job in jobs if job.message_seen_at <= before]
            lost = await send_again(unseen, self._delivery, self._listener)
            reissued += lost
            seen += not lost
        return reissued
