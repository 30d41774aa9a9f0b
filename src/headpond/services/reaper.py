"""The reaper: finds what was left lying and sees it to its end."""

from headpond.domain.facts import Reaped
from headpond.domain.job import Job
from headpond.ports.clock import Clock
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.ports.jobs import JobStore
from headpond.services.side_by_side import side_by_side

BATCH = 256
"""Records of one look; the rest comes in the next pass of the same tick."""


class Reaper:
    """Ends overdue jobs, sends accepted jobs again whose message may be lost, drops old keys.

    Any number may run at once: compare-and-set decides who acts. Lapsed leases are not its
    business; the queue hands those messages out again by itself.
    """

    def __init__(
        self,
        jobs: JobStore,
        delivery: Delivery,
        *,
        clock: Clock,
        listener: Listener,
        accepted_grace_s: float,
    ) -> None:
        self._jobs = jobs
        self._delivery = delivery
        self._clock = clock
        self._listener = listener
        self._accepted_grace_s = accepted_grace_s

    async def tick(self) -> int:
        """Look once; returns how many records were changed."""
        changed = 0
        while True:
            now = self._clock.now()
            due = await self._jobs.due(
                now=now, accepted_before=now - self._accepted_grace_s, limit=BATCH
            )
            acted = await side_by_side(self._act(job, now) for job in due)
            changed += sum(acted)
            if len(due) < BATCH or not any(acted):
                break
        await self._forget_keys()
        return changed

    async def _forget_keys(self) -> None:
        # In small steps: each holds up whoever submits.
        while await self._jobs.forget_keys(self._clock.now(), limit=BATCH) >= BATCH:
            pass

    async def _act(self, job: Job, now: float) -> bool:
        if job.overdue(now):
            after = job.expired(now)
            acted = await self._jobs.swap(after)
            fact = Reaped(after, "expired")
        else:
            acted = await self._delivery.reissue(job)
            fact = Reaped(job, "reissued")
        if acted:
            self._listener.hear(fact)
        return acted
