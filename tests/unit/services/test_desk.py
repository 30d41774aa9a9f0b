"""A team asks about its own jobs, and cancels them."""

import asyncio

import msgspec
import pytest

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.identity import Identity
from headpond.domain.job import Job, JobId, JobState, Usage
from headpond.errors import InvalidRequest, NotFound
from headpond.ports.jobs import JobQuery
from headpond.services.desk import Desk
from headpond.testing.clocks import ManualClock
from headpond.testing.records import REQUEST, a_job, new_job

TEAM = Identity("team")
STRANGER = Identity("stranger")


@pytest.fixture
def jobs() -> MemoryJobStore:
    return MemoryJobStore(ManualClock())


@pytest.fixture
def desk(jobs: MemoryJobStore) -> Desk:
    return Desk(jobs, ManualClock())


@pytest.fixture
async def job(jobs: MemoryJobStore) -> Job:
    job = a_job()
    await jobs.add(new_job(job))
    return job


async def test_a_team_sees_its_own_job(desk: Desk, job: Job) -> None:  # SPEC G5
    assert await desk.job(job.id, TEAM) == job
    assert (await desk.bodies(job)).request == REQUEST


async def test_another_teams_job_and_no_job_look_the_same(desk: Desk, job: Job) -> None:
    other = JobId(job.id[:-1] + "x")
    with pytest.raises(NotFound) as theirs:
        await desk.job(job.id, STRANGER)
    with pytest.raises(NotFound) as missing:
        await desk.job(other, TEAM)

    assert theirs.value.code == missing.value.code
    assert theirs.value.message.replace(job.id, other) == missing.value.message


async def test_bodies_that_are_gone_are_not_found(desk: Desk, job: Job) -> None:
    with pytest.raises(NotFound):
        await desk.bodies(msgspec.structs.replace(job, id=JobId("job_gone")))


async def test_a_list_is_of_ones_own_team(desk: Desk, jobs: MemoryJobStore, job: Job) -> None:
    await jobs.add(new_job(a_job(team="stranger")))

    assert await desk.find(JobQuery(team="stranger"), TEAM) == [job]
    assert await desk.find(JobQuery(state=JobState.DEAD), TEAM) == []


async def test_the_end_is_waited_for(desk: Desk, jobs: MemoryJobStore, job: Job) -> None:
    waiting = asyncio.create_task(desk.ended(job, timeout_s=60))
    running = job.claimed("w", 1.0)
    await jobs.swap(running)
    await asyncio.sleep(0)
    done = running.succeeded(2.0, engine="e", usage=Usage())
    await jobs.swap(done)

    assert await waiting == done
    assert await desk.ended(done, timeout_s=60) == done


async def test_a_wait_ends_with_the_job_as_it_stands(
    desk: Desk, jobs: MemoryJobStore, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await desk.ended(job, timeout_s=0.001) == job

    async def nothing(job_id: JobId, version: int, timeout_s: float) -> None:
        assert (job_id, version) == (job.id, job.version)
        assert timeout_s == pytest.approx(60)

    # Once more without a cancelled wait, behind which Python 3.11 tells coverage nothing.
    monkeypatch.setattr(jobs, "wait_for_change", nothing)
    assert await desk.ended(job, timeout_s=60) == job


async def test_cancelling_twice_is_cancelling(desk: Desk, job: Job) -> None:
    first = await desk.cancel(job.id, TEAM)

    assert first.state is JobState.CANCELLED
    assert await desk.cancel(job.id, TEAM) == first


async def test_what_has_ended_cannot_be_cancelled(
    desk: Desk, jobs: MemoryJobStore, job: Job
) -> None:
    await jobs.swap(job.expired(1.0))
    with pytest.raises(InvalidRequest) as raised:
        await desk.cancel(job.id, TEAM)
    assert raised.value.code == "job_already_ended"


async def test_a_cancel_that_meets_a_change_looks_again(
    desk: Desk, jobs: MemoryJobStore, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = jobs.swap

    async def claimed_first(after: Job, response: bytes | None = None) -> bool:
        monkeypatch.setattr(jobs, "swap", swap)
        await swap(job.claimed("w", 1.0))
        return await swap(after, response)

    monkeypatch.setattr(jobs, "swap", claimed_first)
    cancelled = await desk.cancel(job.id, TEAM)

    assert cancelled.state is JobState.CANCELLED
    assert cancelled.worker == "w"


async def test_an_erasure_that_meets_another_stays_that_one(
    desk: Desk, jobs: MemoryJobStore, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = job.expired(1.0)
    await jobs.swap(ended)
    erase = jobs.erase

    async def erased_first(after: Job) -> bool:
        await erase(ended.erased(2.0))
        return await erase(after)

    monkeypatch.setattr(jobs, "erase", erased_first)
    assert (await desk.erase(job.id, TEAM)).erased_at == 2.0


async def test_closing_ends_every_wait(desk: Desk, job: Job) -> None:
    waiting = [asyncio.create_task(desk.ended(job, timeout_s=60)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not desk.closed
    desk.close()
    assert await asyncio.gather(*waiting) == [job] * 3
    assert desk.closed
    assert await desk.change(job, timeout_s=60) is None
