"""A message that nobody saw for long is sent again, and whichever comes makes one end."""

import asyncio

import pytest
from typing_extensions import override

from headpond.domain.facts import Reaped
from headpond.domain.job import Job, JobId, JobState
from headpond.domain.outcome import Answered
from headpond.ports.jobs import OpenJobs
from headpond.services import unseen_messages as module
from headpond.services.unseen_messages import UnseenMessages
from headpond.testing.records import a_job, new_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import ANSWER, Pond, ScriptedEngine
from tests.unit.services.test_lost_messages import Looks, empty

UNSEEN_S = 3_600.0


def duty_of(pond: Pond, jobs: OpenJobs | None = None) -> UnseenMessages:
    return UnseenMessages(
        jobs or pond.jobs, pond.delivery, clock=pond.clock, listener=pond.ear, unseen_s=UNSEEN_S
    )


async def submit(pond: Pond, number: int = 1) -> list[JobId]:
    """Jobs that are accepted at this moment."""
    return [await pond.submit(a_job(accepted_at=pond.clock.now())) for _ in range(number)]


def test_a_message_is_sent_again_once_nobody_saw_it_for_too_long() -> None:
    async def experiment() -> None:
        pond = Pond()
        (job_id,) = await submit(pond)
        empty(pond)
        duty = duty_of(pond)
        await asyncio.sleep(UNSEEN_S - 1)
        assert await duty.tick() == 0
        await asyncio.sleep(1)
        assert await duty.tick() == 1
        assert [fact.action for fact in pond.ear.heard(Reaped)] == ["reissued"]
        async with pond.working(ScriptedEngine()):
            assert [job.state for job in await pond.ended(job_id)] == [JobState.SUCCEEDED]

    run_virtually(experiment())


def test_what_waits_behind_a_long_backlog_runs_once_all_the_same() -> None:
    async def experiment() -> None:
        pond = Pond()
        ids = await submit(pond, 5)
        duty = duty_of(pond)
        await asyncio.sleep(UNSEEN_S)
        assert await duty.tick() == 5
        assert (await pond.queue.depth(a_job().lane)).ready == 10
        engine = ScriptedEngine()
        async with pond.working(engine):
            ended = await pond.ended(*ids)
            await asyncio.sleep(60)
        assert (engine.asked, {job.state for job in ended}) == (5, {JobState.SUCCEEDED})
        assert (await pond.queue.depth(a_job().lane)).ready == 0

    run_virtually(experiment())


def test_the_time_of_a_reissued_job_begins_anew() -> None:
    async def experiment() -> None:
        pond = Pond()
        await submit(pond)
        duty = duty_of(pond)
        await asyncio.sleep(UNSEEN_S)
        assert await duty.tick() == 1
        await asyncio.sleep(UNSEEN_S - 1)
        assert await duty.tick() == 0
        await asyncio.sleep(1)
        assert await duty.tick() == 1

    run_virtually(experiment())


def test_a_run_without_a_message_is_reached_as_well() -> None:
    async def experiment() -> None:
        pond = Pond()
        (job_id,) = await submit(pond)
        await asyncio.sleep(UNSEEN_S - 1)
        (claim,) = await pond.delivery.claim([a_job().lane], worker="dies", limit=1)
        empty(pond)
        duty = duty_of(pond)
        await asyncio.sleep(UNSEEN_S - 1)
        assert await duty.tick() == 0
        assert await pond.record(job_id) == claim.job
        await asyncio.sleep(1)
        assert await duty.tick() == 1
        async with pond.working(ScriptedEngine()):
            (job,) = await pond.ended(job_id)
        assert (job.state, job.attempts, job.lost_leases) == (JobState.SUCCEEDED, 1, 0)

    run_virtually(experiment())


def test_what_was_received_a_while_ago_is_left_alone() -> None:
    async def experiment() -> None:
        pond = Pond()
        (job_id,) = await submit(pond)
        await asyncio.sleep(UNSEEN_S - 1)
        (claim,) = await pond.delivery.claim([a_job().lane], worker="w", limit=1)
        await pond.jobs.swap(claim.job.returned(charged=True))
        await pond.queue.give_back([claim.lease], delay_s=60)
        before = await pond.record(job_id)
        await asyncio.sleep(UNSEEN_S - 1)
        assert await duty_of(pond).tick() == 0
        assert await pond.record(job_id) == before

    run_virtually(experiment())


def test_the_time_of_a_delayed_message_begins_when_it_is_ready() -> None:
    async def experiment() -> None:
        pond = Pond()
        dead = a_job(accepted_at=pond.clock.now(), state=JobState.DEAD)
        await pond.jobs.add(new_job(dead))
        await pond.delivery.redrive(dead, delay_s=10 * UNSEEN_S)
        duty = duty_of(pond)
        await asyncio.sleep(11 * UNSEEN_S - 1)
        assert await duty.tick() == 0
        await asyncio.sleep(1)
        assert await duty.tick() == 1

    run_virtually(experiment())


def test_of_several_gateways_one_sends_it_again() -> None:
    async def experiment() -> None:
        pond = Pond()
        await submit(pond, 3)
        empty(pond)
        await asyncio.sleep(UNSEEN_S)
        sent = await asyncio.gather(*(duty_of(pond).tick() for _ in range(4)))
        assert sum(sent) == 3
        assert (await pond.queue.depth(a_job().lane)).ready == 3

    run_virtually(experiment())


def test_a_job_that_ends_meanwhile_is_not_sent_again() -> None:
    async def experiment() -> None:
        pond = Pond()
        (job_id,) = await submit(pond)
        await asyncio.sleep(UNSEEN_S)

        class Late(OpenJobs):
            """Shows a record as it was before a worker did all of it."""

            @override
            async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
                jobs = await pond.jobs.page(after, limit=limit)
                async with pond.working(ScriptedEngine()):
                    await asyncio.sleep(1)
                return jobs

        assert await duty_of(pond, Late()).tick() == 0
        assert (await pond.record(job_id)).state is JobState.SUCCEEDED

    run_virtually(experiment())


def test_a_worker_keeps_a_run_that_is_younger() -> None:
    async def experiment() -> None:
        pond = Pond()
        (job_id,) = await submit(pond)
        answers = asyncio.Event()

        async def slowly() -> Answered:
            await answers.wait()
            return ANSWER

        engine = ScriptedEngine(slowly)
        async with pond.working(engine):
            await asyncio.sleep(UNSEEN_S - 1)
            assert await duty_of(pond).tick() == 0
            answers.set()
            await pond.ended(job_id)
        assert engine.asked == 1

    run_virtually(experiment())


def test_among_young_jobs_a_tick_reads_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)

    async def experiment() -> None:
        pond = Pond()
        (old,) = await submit(pond)
        await asyncio.sleep(UNSEEN_S)
        young = await submit(pond, 9)
        looks = Looks(pond.jobs)
        duty = duty_of(pond, looks)
        assert await duty.tick() == 1
        assert looks.seen == [old, *young[:3]]
        assert await duty.tick() == 0
        assert looks.seen[4:] == [old, *young[:3]]

    run_virtually(experiment())


def test_a_look_among_old_jobs_is_bounded_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(module, "PAGES", 2)

    async def experiment() -> None:
        pond = Pond()
        ids = await submit(pond, 7)
        await asyncio.sleep(UNSEEN_S)
        looks = Looks(pond.jobs)
        duty = duty_of(pond, looks)
        assert await duty.tick() == 7
        looks.seen.clear()
        await duty.tick()
        assert looks.seen == ids[:4]
        await duty.tick()
        assert looks.seen == ids

    run_virtually(experiment())
