"""What others do between two steps of the delivery."""

from collections.abc import Awaitable, Callable

from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.job import Job, JobState, Ticket
from headpond.domain.lane import lanes_of
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job


class Busy(MemoryJobStore):
    """Somebody else is faster: `first` runs once before the next swap."""

    first: Callable[[], Awaitable[object]] | None = None

    @override
    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        first, self.first = self.first, None
        if first is not None:
            await first()
        return await super().swap(after, response)


class Setting:
    """A delivery over a busy store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = Busy(self.clock)
        self.queue = MemoryQueue(self.clock)
        self.delivery = TwoStepDelivery(
            self.jobs,
            self.queue,
            clock=self.clock,
            new_ticket=lambda: Ticket("new"),
            lease_s=30,
            max_lost_leases=5,
        )

    async def cancel(self, job: Job) -> None:
        """The owner cancels."""
        stored = await self.jobs.get(job.id)
        assert stored is not None
        assert await MemoryJobStore.swap(self.jobs, stored.cancelled(self.clock.now()))

    async def claimed(self) -> int:
        """How many jobs a worker gets."""
        return len(await self.delivery.claim(lanes_of("default"), worker="w", limit=9))

    async def left(self) -> int:
        """How many messages there are."""
        depths = [await self.queue.depth(lane) for lane in lanes_of("default")]
        return sum(depth.ready + depth.leased + depth.delayed for depth in depths)


async def test_a_job_that_is_cancelled_while_it_is_claimed_is_not_run() -> None:
    setting = Setting()
    job = a_job()
    await setting.delivery.submit(new_job(job))
    setting.jobs.first = lambda: setting.cancel(job)
    assert (await setting.claimed(), await setting.left()) == (0, 0)


async def test_a_job_that_is_cancelled_while_it_expires_stays_cancelled() -> None:
    setting = Setting()
    job = a_job(deadline=setting.clock.now() + 5)
    await setting.delivery.submit(new_job(job))
    setting.clock.advance(9)
    setting.jobs.first = lambda: setting.cancel(job)
    assert (await setting.claimed(), await setting.left()) == (0, 0)
    stored = await setting.jobs.get(job.id)
    assert stored is not None
    assert stored.state is JobState.CANCELLED


async def test_a_job_that_changed_is_not_sent_again() -> None:
    setting = Setting()
    job = a_job()
    await setting.jobs.add(new_job(job))
    setting.jobs.first = lambda: setting.cancel(job)
    assert not await setting.delivery.reissue(job)
    assert await setting.left() == 0
