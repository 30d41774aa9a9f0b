"""The reaper sees to its end what was left lying."""

import asyncio

from headpond.domain.facts import Reaped
from headpond.domain.job import Job, JobState
from headpond.ports.jobs import Idempotency, NewJob
from headpond.services import reaper as module
from headpond.services.reaper import Reaper
from headpond.testing.records import a_job, new_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond


def reaper_of(pond: Pond) -> Reaper:
    """A reaper that gives accepted jobs thirty seconds."""
    return Reaper(
        pond.jobs, pond.delivery, clock=pond.clock, listener=pond.ear, accepted_grace_s=30
    )


def test_an_overdue_job_expires() -> None:
    # SPEC Q6
    async def experiment() -> None:
        pond = Pond()
        job_id = await pond.submit(a_job(deadline=pond.clock.now()))
        assert await reaper_of(pond).tick() == 1
        assert (await pond.record(job_id)).state is JobState.EXPIRED
        assert [fact.action for fact in pond.ear.heard(Reaped)] == ["expired"]

    run_virtually(experiment())


def test_a_job_that_was_accepted_and_not_queued_is_sent_again() -> None:
    # SPEC G7
    async def experiment() -> None:
        pond = Pond()
        job = a_job(accepted_at=pond.clock.now() - 31)
        await pond.jobs.add(new_job(job))
        await pond.jobs.add(new_job(a_job(accepted_at=pond.clock.now())))
        assert await reaper_of(pond).tick() == 1
        assert (await pond.record(job.id)).state is JobState.QUEUED
        assert (await pond.queue.depth(job.lane)).ready == 1

    run_virtually(experiment())


def test_a_tick_goes_on_until_nothing_is_due() -> None:
    async def experiment() -> None:
        pond = Pond()
        for _ in range(module.BATCH + 10):
            await pond.submit(a_job(deadline=pond.clock.now()))
        reaper = reaper_of(pond)
        assert await reaper.tick() == module.BATCH + 10
        assert await reaper.tick() == 0

    run_virtually(experiment())


def test_all_expired_keys_are_dropped_in_one_tick() -> None:
    async def experiment() -> None:
        pond = Pond()
        now = pond.clock.now()
        for number in range(module.BATCH + 10):
            job = a_job(accepted_at=now)
            key = Idempotency(f"key {number}", "fingerprint", now)
            await pond.jobs.add(NewJob(job, b"{}", key))
            await pond.jobs.swap(job.cancelled(now))
        await reaper_of(pond).tick()
        assert await pond.jobs.forget_keys(now, limit=1) == 0

    run_virtually(experiment())


def test_a_job_that_somebody_else_ended_is_left_alone() -> None:
    async def experiment() -> None:
        pond = Pond()
        job = a_job(deadline=pond.clock.now())
        await pond.submit(job)
        due = await pond.jobs.due(now=pond.clock.now(), accepted_before=0, limit=9)
        stale = due[0]
        await pond.jobs.swap(stale.cancelled(pond.clock.now()))

        async def looked_too_early(**_: object) -> list[object]:
            return [stale]

        pond.jobs.due = looked_too_early  # pyright: ignore[reportAttributeAccessIssue]
        assert await reaper_of(pond).tick() == 0
        assert (await pond.record(job.id)).state is JobState.CANCELLED
        assert pond.ear.facts == []

    run_virtually(experiment())


def test_overdue_jobs_are_ended_side_by_side() -> None:
    async def experiment() -> None:
        pond = Pond()
        for _ in range(module.BATCH):
            await pond.submit(a_job(deadline=pond.clock.now()))
        swap = pond.jobs.swap

        async def slow(after: Job, response: bytes | None = None) -> bool:
            await asyncio.sleep(1)
            return await swap(after, response)

        pond.jobs.swap = slow
        began = pond.clock.now()
        assert await reaper_of(pond).tick() == module.BATCH
        assert pond.clock.now() - began < 2

    run_virtually(experiment())
