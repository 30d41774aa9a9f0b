"""A duty that fails has nothing under way any more: what was beside the failure came to its end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from headpond.domain.job import Job
from headpond.errors import Unavailable
from headpond.services.reissuing import send_again
from headpond.testing.records import a_job, new_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond
from tests.unit.services.test_reaper import reaper_of


async def reap(pond: Pond, jobs: list[Job]) -> None:
    for job in jobs:
        await pond.jobs.add(new_job(job))
    await reaper_of(pond).tick()


async def send(pond: Pond, jobs: list[Job]) -> None:
    await send_again(jobs, pond.delivery, pond.ear)


@pytest.mark.parametrize("duty", [reap, send])
def test_no_duty_goes_on_behind_its_failure(
    monkeypatch: pytest.MonkeyPatch, duty: Callable[[Pond, list[Job]], Awaitable[None]]
) -> None:
    async def experiment() -> None:
        pond, sent = Pond(), list[Job]()
        first, second = (a_job(accepted_at=pond.clock.now() - 60) for _ in range(2))

        async def reissue(job: Job) -> bool:
            if job == first:
                raise Unavailable("no answer", code="redis_unavailable")
            await asyncio.sleep(1)
            sent.append(job)
            return True

        monkeypatch.setattr(pond.delivery, "reissue", reissue)
        with pytest.raises(Unavailable):
            await duty(pond, [first, second])
        assert sent == [second]

    run_virtually(experiment())
