"""What dead letters must do. Subclass `DeadLettersSuite` and give it a `stage` fixture."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from headpond.domain.job import Job, JobError
from headpond.ports.dead_letters import DeadLetters, DeadQuery
from headpond.ports.jobs import JobStore
from headpond.testing.records import a_job, new_job


@dataclass(frozen=True)
class DeadStage:
    """Dead letters, and the job store whose they are."""

    dead: DeadLetters
    jobs: JobStore


def a_dead_job(died_at: float, code: str = "engine_error", **fields: Any) -> Job:
    """A job that was buried then."""
    running = a_job(**fields).claimed("w", 1_000_000.0)
    return running.buried(died_at, JobError(code, "why"))


class DeadLettersSuite:
    """The contract of `headpond.ports.dead_letters`. SPEC Q5.

    `many` are more than a store reads at once.
    """

    many: ClassVar[int] = 1200

    @pytest.fixture
    async def stage(self) -> DeadStage:
        raise NotImplementedError("give the suite dead letters and their job store")

    async def found(self, stage: DeadStage, **query: Any) -> list[Job]:
        """What matches."""
        return [job async for job in stage.dead.read(DeadQuery(**query))]

    async def test_only_the_dead_are_read_in_the_order_of_their_deaths(
        self, stage: DeadStage
    ) -> None:
        late, early = a_dead_job(1_000_020.0), a_dead_job(1_000_010.0)
        ended = a_job().cancelled(1_000_015.0)
        for job in (late, early, ended, a_job()):
            await stage.jobs.add(new_job(job))
        assert await self.found(stage) == [early, late]

    async def test_they_are_chosen_by_team_model_code_and_time(self, stage: DeadStage) -> None:
        one = a_dead_job(1_000_010.0, team="one", model="m")
        two = a_dead_job(1_000_020.0, "engine_timeout")
        for job in (one, two):
            await stage.jobs.add(new_job(job))
        assert await self.found(stage, team="one") == [one]
        assert await self.found(stage, model="m") == [one]
        assert await self.found(stage, code="engine_timeout") == [two]
        assert await self.found(stage, since=1_000_020.0) == [two]
        assert await self.found(stage, until=1_000_020.0) == [one]

    async def test_one_that_is_redriven_or_given_up_is_not_dead(self, stage: DeadStage) -> None:
        one, two = a_dead_job(1_000_010.0), a_dead_job(1_000_010.0)
        for job in (one, two):
            await stage.jobs.add(new_job(job))
        await stage.jobs.swap(one.redriven(one.ticket))
        await stage.jobs.swap(two.discarded(1_000_030.0))
        assert await self.found(stage) == []

    async def test_none_is_missed_while_others_leave(self, stage: DeadStage) -> None:
        jobs = [a_dead_job(1_000_010.0 + number // 3) for number in range(self.many)]
        for job in jobs:
            await stage.jobs.add(new_job(job))
        seen: list[Job] = []
        async for job in stage.dead.read(DeadQuery()):
            seen.append(job)
            await stage.jobs.swap(job.discarded(1_000_030.0))
        assert {job.id for job in seen} == {job.id for job in jobs}
        assert len(seen) == len(jobs)
