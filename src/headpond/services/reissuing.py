"""Sending jobs again whose messages are taken for lost, for the duties that find them."""

from collections.abc import Iterable

from headpond.domain.facts import Reaped
from headpond.domain.job import Job
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.services.side_by_side import side_by_side


async def send_again(jobs: Iterable[Job], delivery: Delivery, listener: Listener) -> int:
    """Give each a new ticket and a new message; returns how many had not changed meanwhile."""

    async def again(job: Job) -> bool:
        reissued = await delivery.reissue(job)
        if reissued:
            listener.hear(Reaped(job, "reissued"))
        return reissued

    return sum(await side_by_side(again(job) for job in jobs))
