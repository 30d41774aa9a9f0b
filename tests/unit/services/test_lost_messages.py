"""Whatever the queue loses is sent again, and nothing else is."""

import asyncio

import pytest
from typing_extensions import override

from headpond.domain.facts import Reaped
from headpond.domain.job import Job, JobId, JobState
from headpond.domain.outcome import Answered
from headpond.ports.jobs import OpenJobs
from headpond.services import lost_messages as module
from headpond.services.lost_messages import LostMessages
from headpond.testing.records import a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import ANSWER, Pond, ScriptedEngine


def duty_of(pond: Pond) -> LostMessages:
    return LostMessages(pond.jobs, pond.queue, pond.delivery, pond.ear)


class Looks(OpenJobs):
    """What a duty looked at."""

    def __init__(self, jobs: OpenJobs) -> None:
        self._jobs = jobs
        self.seen: list[JobId] = []

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        jobs = await self._jobs.page(after, limit=limit)
        self.seen += [job.id for job in jobs]
        return jobs


def empty(pond: Pond) -> None:
    """The queue loses everything."""
    pond.queue._held.clear()
    pond.queue._hidden.clear()
    pond.queue._shares.clear()


def test_a_queued_job_whose_message_was_lost_is_sent_again() -> None:
    async def experiment() -> None:
        pond = Pond()
        job_id = await pond.submit(a_job())
        empty(pond)
        assert await duty_of(pond).tick() == 1
        assert (await pond.record(job_id)).state is JobState.QUEUED
        assert [fact.action for fact in pond.ear.heard(Reaped)] == ["reissued"]
        async with pond.working(ScriptedEngine()):
            await pond.ended(job_id)

    run_virtually(experiment())


def test_what_the_queue_holds_is_left_alone() -> None:
    async def experiment() -> None:
        pond = Pond()
        ready, leased, delayed = [await pond.submit(a_job()) for _ in range(3)]
        first, second = await pond.delivery.claim([a_job().lane], worker="w", limit=2)
        await pond.queue.give_back([second.lease], delay_s=60)
        before = [await pond.record(job_id) for job_id in (ready, leased, delayed)]
        assert first.job in before
        assert await duty_of(pond).tick() == 0
        assert [await pond.record(job_id) for job_id in (ready, leased, delayed)] == before

    run_virtually(experiment())


def test_a_job_that_lost_its_message_while_it_ran_runs_again_uncharged() -> None:
    async def experiment() -> None:
        pond = Pond()
        answers = asyncio.Event()

        async def slowly() -> Answered:
            await answers.wait()
            return ANSWER

        engine = ScriptedEngine(slowly)
        job_id = await pond.submit(a_job())
        async with pond.working(engine):
            await asyncio.sleep(1)
            empty(pond)
            assert await duty_of(pond).tick() == 1
            await asyncio.sleep(pond.settings.lease_s)
            assert engine.aborted == 1
            answers.set()
            await pond.ended(job_id)
        job = await pond.record(job_id)
        assert (job.state, job.attempts, job.lost_leases) == (JobState.SUCCEEDED, 1, 0)

    run_virtually(experiment())


def test_a_look_is_bounded_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(module, "PAGES", 2)

    async def experiment() -> None:
        pond = Pond()
        jobs = [await pond.submit(a_job()) for _ in range(7)]
        looks = Looks(pond.jobs)
        duty = LostMessages(looks, pond.queue, pond.delivery, pond.ear)
        for _ in range(4):
            await duty.tick()
        assert looks.seen[:7] == jobs
        assert looks.seen[7:] == jobs[:4]

    run_virtually(experiment())


def test_all_that_was_lost_is_sent_again_in_one_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(module, "PAGES", 2)

    async def experiment() -> None:
        pond = Pond()
        for _ in range(11):
            await pond.submit(a_job())
        empty(pond)
        assert await duty_of(pond).tick() == 11
        assert await duty_of(pond).tick() == 0

    run_virtually(experiment())


def test_a_job_that_changes_meanwhile_is_not_sent_again() -> None:
    async def experiment() -> None:
        pond = Pond()
        job_id = await pond.submit(a_job())

        class Late(OpenJobs):
            """Shows a record as it was before a worker did all of it."""

            @override
            async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
                jobs = await pond.jobs.page(after, limit=limit)
                async with pond.working(ScriptedEngine()):
                    await asyncio.sleep(1)
                return jobs

        assert await LostMessages(Late(), pond.queue, pond.delivery, pond.ear).tick() == 0
        assert (await pond.record(job_id)).state is JobState.SUCCEEDED

    run_virtually(experiment())
