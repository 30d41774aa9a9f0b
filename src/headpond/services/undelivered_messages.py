"""Undelivered messages: those that the queue of a cloud has set aside are seen to.

A cloud sets aside what came to nothing too often, and counts every receipt: also those of workers
that had no room, that drained, or that died. Whether a job is dead its record says, by its
attempts. So a job that waits for a message which was set aside gets a new one, uncharged, and a
message that no job waits for is removed. What cannot be read, be it the message or the record, may
be for a newer release, and stays where it is.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing

from headpond.domain.lane import Lane
from headpond.domain.once import Once
from headpond.errors import Unreadable, told
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import JobStore
from headpond.ports.queue import DeadLetterQueue, Lease
from headpond.services.reissuing import send_again
from headpond.services.side_by_side import raise_first, side_by_side

log = logging.getLogger(__name__)

TOLD = 1_000
"""Of so many records that cannot be read it is remembered that the log has them."""

PAGES = 100
"""Of each lane in one tick: 1,000 messages where a page has ten."""


class UndeliveredMessages:
    """Any number may run at once: compare-and-set decides who acts."""

    def __init__(
        self,
        queue: DeadLetterQueue,
        lanes: Sequence[Lane],
        jobs: JobStore,
        delivery: Delivery,
        *,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._queue = queue
        self._lanes = lanes
        self._jobs = jobs
        self._delivery = delivery
        self._clock = clock
        self._listener = listener
        self._told = Once(TOLD)

    async def tick(self) -> int:
        """Look once; returns how many messages were seen to."""
        return sum(await side_by_side(self._look_beside(lane) for lane in self._lanes))

    async def _look_beside(self, lane: Lane) -> int:
        seen_to, pages = 0, 0
        async with aclosing(self._queue.undelivered(lane)) as undelivered:
            async for leases in undelivered:
                found = await asyncio.gather(*map(self._see_to, leases), return_exceptions=True)
                done = [lease for lease, gone in zip(leases, found, strict=True) if gone is True]
                await self._queue.discard(lane, done)
                raise_first(found)
                seen_to, pages = seen_to + len(done), pages + 1
                if pages == PAGES:
                    break
        return seen_to

    async def _see_to(self, lease: Lease) -> bool:
        """Whether the message means nothing any more."""
        try:
            job = await self._jobs.get(lease.message.job_id)
        except Unreadable as error:
            if self._told.is_new(lease.message.job_id):
                log.warning("a message that was set aside stays there: %s", told(error))
            return False
        if job is None or not job.awaits(lease.message.ticket):
            return True
        if job.message_seen_at > self._clock.now():
            return False  # It is delayed still, and a new message would not be.
        return await send_again([job], self._delivery, self._listener) == 1
