"""What every store of batches must do. Subclass `BatchSuite` and give it a `stage` fixture."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from headpond.domain.batch import Batch, Counts, Cursor, LineError, RunnerName
from headpond.domain.file import FileId
from headpond.domain.job import BatchId, JobState, Usage
from headpond.ports.batches import BatchLines, BatchQuery, BatchStore, Line
from headpond.ports.jobs import Bodies, Existing, JobStore
from headpond.testing.records import LONGEST, REQUEST, RESPONSE, a_job, new_job

NOW = 1_000_000.0
RUNNER, OTHER = RunnerName("runner"), RunnerName("other")

_numbers = count(1)


def a_batch(**fields: Any) -> Batch:
    """A batch that nobody runs yet."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": BatchId(f"batch_{number:032x}"),
        "team": "team",
        "endpoint": "/v1/chat/completions",
        "input_file": FileId(f"file-{number:032x}"),
        "completion_window": "24h",
        "created_at": NOW,
        "expires_at": NOW + 86_400,
    }
    return Batch(**(given | fields))


@dataclass(frozen=True)
class BatchStage:
    """Batches with the jobs that are their lines."""

    batches: BatchStore
    lines: BatchLines
    jobs: JobStore


class BatchSuite:
    """The contract of `headpond.ports.batches`. SPEC G2."""

    @pytest.fixture
    async def stage(self) -> BatchStage:
        raise NotImplementedError("give the suite a stage")

    async def test_a_batch_is_kept_whole(self, stage: BatchStage) -> None:
        batch = a_batch(
            metadata={"a": "b"},
            cursor=Cursor(3, 40),
            counts=Counts(5, 2, 1, 1),
            errors=(LineError("code", "why", "param", 3),),
        )
        await stage.batches.add(batch)
        assert await stage.batches.get(batch.id) == batch
        assert await stage.batches.get(a_batch().id) is None

    async def test_of_two_changes_to_one_version_the_first_wins(self, stage: BatchStage) -> None:
        batch = a_batch()
        await stage.batches.add(batch)
        taken = batch.took(RUNNER, NOW + 10)
        assert await stage.batches.swap(taken)
        assert not await stage.batches.swap(batch.took(OTHER, NOW + 10))
        assert await stage.batches.get(batch.id) == taken
        assert not await stage.batches.swap(a_batch().took(RUNNER, NOW))

    async def test_batches_are_listed_in_pages(self, stage: BatchStage) -> None:
        first, second, third = batches = [a_batch() for _ in range(3)]
        for batch in (*batches, a_batch(team="other")):
            await stage.batches.add(batch)

        async def page(**more: Any) -> list[Batch]:
            return await stage.batches.find(BatchQuery(team="team", **more))

        assert await page() == [third, second, first]
        assert await page(limit=2) == [third, second]
        assert await page(after=second.id) == [first]
        assert await page(after=a_batch().id) == []

    @pytest.mark.parametrize("team", LONGEST)
    async def test_a_team_with_the_longest_name_has_batches(
        self, stage: BatchStage, team: str
    ) -> None:
        batch = a_batch(team=team)
        for each in (batch, a_batch(team=team[:-1])):
            await stage.batches.add(each)
        assert await stage.batches.find(BatchQuery(team=team)) == [batch]
        assert await stage.batches.open_of(team) == 1

    async def test_batches_are_due_that_nobody_runs_or_the_asker(self, stage: BatchStage) -> None:
        new = a_batch()
        mine = a_batch().took(RUNNER, NOW + 10)
        others = a_batch().took(OTHER, NOW + 10)
        over = a_batch().refused(NOW, [])
        for batch in (new, mine, others, over):
            await stage.batches.add(batch)

        assert await stage.batches.due(RUNNER, NOW, 10) == [new, mine]
        assert await stage.batches.due(RUNNER, NOW, 1) == [new]
        assert await stage.batches.due(RUNNER, NOW + 10, 10) == [new, mine, others]

    async def test_open_batches_are_counted_and_hold_their_input(self, stage: BatchStage) -> None:
        batch = a_batch()
        await stage.batches.add(batch)
        assert await stage.batches.open_of("team") == 1
        assert await stage.batches.open_of("other") == 0
        assert await stage.batches.reads(batch.input_file)

        assert await stage.batches.swap(batch.refused(NOW, []))
        assert await stage.batches.open_of("team") == 0
        assert not await stage.batches.reads(batch.input_file)

    async def test_a_job_is_added_once_under_its_id(self, stage: BatchStage) -> None:
        job = a_job(batch=BatchId("b"))
        await stage.jobs.add(new_job(job))
        ended = job.cancelled(NOW)
        assert await stage.jobs.add(new_job(ended, key="k")) == Existing(job, "")
        assert await stage.jobs.get(job.id) == job
        assert await stage.jobs.known(job.team, "k") is None
        assert await stage.lines.tally(BatchId("b")) == {JobState.ACCEPTED: 1}

    async def test_the_jobs_of_a_batch_are_counted_by_state(self, stage: BatchStage) -> None:
        batch = BatchId("b")
        jobs = [a_job(batch=batch) for _ in range(3)]
        for job in (*jobs, a_job(), a_job(batch=BatchId("other"))):
            await stage.jobs.add(new_job(job))
        await stage.jobs.swap(jobs[0].cancelled(NOW))

        tally = await stage.lines.tally(batch)
        assert tally == {JobState.ACCEPTED: 2, JobState.CANCELLED: 1}
        assert not await stage.lines.tally(BatchId("none"))
        open_jobs = await stage.lines.unended(batch, 10)
        assert sorted(job.id for job in open_jobs) == [jobs[1].id, jobs[2].id]
        assert len(await stage.lines.unended(batch, 1)) == 1

    async def test_jobs_are_read_many_at_a_time(self, stage: BatchStage) -> None:
        done, waiting = a_job(), a_job()
        for job in (done, waiting):
            await stage.jobs.add(new_job(job))
        done = done.claimed("w", NOW)
        await stage.jobs.swap(done)
        done = done.succeeded(NOW, engine="e", usage=Usage(1, 2))
        await stage.jobs.swap(done, RESPONSE)

        found = await stage.lines.present([waiting.id, a_job().id, done.id])
        assert found == [
            Line(done, Bodies(REQUEST, RESPONSE)),
            Line(waiting, Bodies(REQUEST)),
        ]
        assert await stage.lines.present([]) == []
