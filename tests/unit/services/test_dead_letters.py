"""Dead letters are looked at in groups, redriven at a pace, given up and exported. SPEC Q5."""

import asyncio
from itertools import count
from typing import Any, Literal

import pytest
from msgspec.structs import replace

from headpond.domain.job import Job, JobId, JobState, Ticket
from headpond.domain.outcome import Broke
from headpond.errors import NotFound
from headpond.ports.dead_letters import DeadQuery
from headpond.services import dead_letters as module
from headpond.services.dead_letters import Selection, Tally
from headpond.testing.batches_suite import a_batch
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.faults import Crash, Faults, behind
from headpond.testing.records import REQUEST, a_job, new_job
from tests.stages import LANES, Stage

ALL = Selection()


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def bury(stage: Stage, count: int = 1, **fields: Any) -> list[Job]:
    """Jobs that died a while ago."""
    jobs = [a_dead_job(stage.clock.now() - 10, **fields) for _ in range(count)]
    for job in jobs:
        await stage.jobs.add(new_job(job))
    return jobs


async def record(stage: Stage, job: Job) -> Job:
    found = await stage.jobs.get(job.id)
    assert found is not None
    return found


async def test_groups_come_largest_first(stage: Stage) -> None:
    await bury(stage)
    await bury(stage, 2, code="engine_timeout")
    groups = await stage.parts.triage.groups(ALL)
    assert [(group.cause.code, group.count) for group in groups] == [
        ("engine_timeout", 2),
        ("engine_error", 1),
    ]


async def test_a_group_is_redriven_and_the_others_stay(stage: Stage) -> None:
    (one,) = await bury(stage)
    (other,) = await bury(stage, code="engine_timeout")
    group = (await stage.parts.triage.groups(Selection(query=DeadQuery(code="engine_error"))))[0]
    tally = await stage.parts.triage.redrive(Selection(cause=group.cause.id))
    assert tally == Tally(selected=1, done=1)
    assert (await record(stage, one)).state is JobState.QUEUED
    assert await record(stage, other) == other


async def test_a_redriven_job_ends_as_any_other(stage: Stage) -> None:
    (dead,) = await bury(stage)
    await stage.parts.triage.redrive(Selection(id=dead.id))
    await stage.work()
    done = await record(stage, dead)
    assert done.state is JobState.SUCCEEDED
    assert [death.error for death in done.deaths] == [dead.error]


async def test_a_dry_run_changes_nothing(stage: Stage) -> None:
    jobs = await bury(stage, 3)
    assert await stage.parts.triage.redrive(ALL, dry_run=True) == Tally(
        selected=3, done=3, dry_run=True
    )
    assert await stage.parts.triage.discard(ALL, dry_run=True) == Tally(
        selected=3, done=3, dry_run=True
    )
    assert [await record(stage, job) for job in jobs] == jobs


async def test_a_redrive_is_paced_in_the_lane(stage: Stage) -> None:
    jobs = await bury(stage, 10)
    await stage.parts.triage.redrive(ALL, per_second=2)
    ready: list[int] = []
    for _ in range(6):
        ready.append((await stage.queue.depth(jobs[0].lane)).ready)
        stage.manual.advance(1)
    assert ready == [1, 3, 5, 7, 9, 10]


async def test_what_was_redriven_too_often_or_is_overdue_stays(stage: Stage) -> None:
    tally = Tally(selected=1, done=1)
    (dead,) = await bury(stage)
    for _ in range(2):
        assert await stage.parts.triage.redrive(ALL) == tally
        stage.manual.advance(1)
        claim = await stage.claim()
        await stage.settle(
            replace(claim, job=replace(claim.job, max_attempts=1)), Broke("It broke.")
        )
        stage.manual.advance(1)
    await bury(stage, deadline=stage.clock.now() - 5)
    assert await stage.parts.triage.redrive(ALL) == Tally(selected=2, capped=1, overdue=1)
    assert len((await record(stage, dead)).deaths) == 2


async def test_a_line_stays_once_its_batch_tells_the_results(stage: Stage) -> None:
    open_batch, telling = a_batch().begun(0, 1, None), a_batch().begun(0, 1, None).lines_ended(0)
    for batch in (open_batch, telling):
        await stage.batch_store.add(batch)
    (line,) = await bury(stage, batch=open_batch.id)
    (told,) = await bury(stage, batch=telling.id)
    assert await stage.parts.triage.redrive(ALL) == Tally(selected=2, done=1, batch_ended=1)
    assert (await record(stage, line)).state is JobState.QUEUED
    assert await record(stage, told) == told


async def test_a_discarded_letter_has_failed(stage: Stage) -> None:
    (dead,) = await bury(stage)
    assert await stage.parts.triage.discard(ALL) == Tally(selected=1, done=1)
    failed = await record(stage, dead)
    assert (failed.state, failed.error) == (JobState.FAILED, dead.error)
    assert failed.finished_at == stage.clock.now()


async def test_what_somebody_else_changed_is_left_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dead,) = await bury(stage)
    inner = stage.delivery.redrive

    async def second(job: Job, *, delay_s: float = 0.0) -> bool:
        await inner(job)
        return await inner(job, delay_s=delay_s)

    monkeypatch.setattr(stage.delivery, "redrive", second)
    assert await stage.parts.triage.redrive(Selection(id=dead.id)) == Tally(selected=1, missed=1)


async def test_what_dies_again_meanwhile_waits_for_the_next_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    await bury(stage, 2)
    inner = stage.delivery.redrive

    async def dies_again(job: Job, *, delay_s: float = 0.0) -> bool:
        redriven = await inner(job, delay_s=delay_s)
        stage.manual.advance(1)
        claim = await stage.claim()
        await stage.settle(
            replace(claim, job=replace(claim.job, max_attempts=1)), Broke("It broke.")
        )
        return redriven

    monkeypatch.setattr(stage.delivery, "redrive", dies_again)
    assert await stage.parts.triage.redrive(ALL) == Tally(selected=2, done=2)


async def test_what_dies_after_a_run_began_waits_for_the_next_one(stage: Stage) -> None:
    late = a_dead_job(stage.clock.now() + 1)
    await stage.jobs.add(new_job(late))
    await bury(stage)
    assert await stage.parts.triage.redrive(ALL) == Tally(selected=1, done=1)
    assert await record(stage, late) == late
    stage.manual.advance(2)
    assert await stage.parts.triage.redrive(ALL) == Tally(selected=1, done=1)


async def test_an_export_is_a_case_for_each(stage: Stage) -> None:
    (dead,) = await bury(stage, metadata={"a": "b"})
    (case,) = [case async for case in stage.parts.triage.cases(ALL)]
    assert (case.id, case.error, case.metadata) == (dead.id, dead.error, {"a": "b"})
    assert bytes(case.request or b"") == REQUEST
    assert await stage.parts.triage.case(dead.id) == case


async def test_one_that_is_not_dead_is_not_there(stage: Stage) -> None:
    job = a_job()
    await stage.jobs.add(new_job(job))
    for job_id in (job.id, JobId("job_none")):
        with pytest.raises(NotFound):
            await stage.parts.triage.letter(job_id)
    (dead,) = await bury(stage)
    elsewhere = Selection(id=dead.id, cause="another")
    assert [one async for one in stage.parts.triage.letters(elsewhere)] == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_redrive_that_is_killed_anywhere_loses_and_doubles_nothing(
    when: Literal["before", "after"],
) -> None:
    # SPEC Q3 Q5
    for call in range(100):
        stage, faults, tickets = Stage(), Faults(), count()
        stage.delivery._new_ticket = lambda tickets=tickets: Ticket(f"new-{next(tickets)}")
        jobs = await bury(stage, 3)
        stage.delivery._jobs = behind(stage.jobs, faults)
        stage.delivery._queue = behind(stage.queue, faults)
        faults.arm(call, when)
        triage = stage.parts.triage
        try:
            await triage.redrive(ALL)
        except Crash:
            await asyncio.sleep(0)
        struck = faults.struck
        faults.arm(None)
        # The next run takes what is left; the reaper sends again what was cut off in between.
        await triage.redrive(ALL)
        for job in await stage.jobs.due(now=stage.clock.now(), accepted_before=2e9, limit=9):
            await stage.delivery.reissue(job)
        stage.manual.advance(10)
        claims = await stage.delivery.claim(LANES, worker="w", limit=9)
        ran = [claim.job.id for claim in claims]
        assert sorted(ran) == sorted(job.id for job in jobs), call
        if not struck:
            return
