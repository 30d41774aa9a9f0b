"""What retention must do. Subclass `RetentionSuite` and give it a `stage` fixture."""

from dataclasses import dataclass
from typing import Any

import pytest

from headpond.domain.job import Job, Usage
from headpond.domain.retention import AGAIN_S, rules
from headpond.ports.audit import Audit, AuditQuery
from headpond.ports.batches import BatchStore
from headpond.ports.jobs import JobStore
from headpond.ports.retention import Retention
from headpond.testing.batches_suite import a_batch
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.records import RESPONSE, a_job, new_job

END = 1_000_000.0


@dataclass(frozen=True)
class RetentionStage:
    """Retention, and whose records it erases."""

    retention: Retention
    jobs: JobStore
    audit: Audit
    batches: BatchStore


class RetentionSuite:
    """The contract of `headpond.ports.retention`. SPEC Q6 D6."""

    @pytest.fixture
    async def stage(self) -> RetentionStage:
        raise NotImplementedError("give the suite retention and its job store")

    async def done(self, stage: RetentionStage, finished_at: float = END, **fields: Any) -> Job:
        """A job that succeeded then."""
        running = a_job(**fields).claimed("w", END)
        await stage.jobs.add(new_job(running))
        done = running.succeeded(finished_at, engine="e", usage=Usage(1, 2))
        assert await stage.jobs.swap(done, RESPONSE)
        return done

    async def erased(self, stage: RetentionStage, *jobs: Job) -> list[bool]:
        """Whether each has lost its bodies."""
        return [await stage.jobs.bodies(job.id) is None for job in jobs]

    async def test_what_ended_long_ago_is_erased_and_its_record_stays(
        self, stage: RetentionStage
    ) -> None:
        old, young = await self.done(stage), await self.done(stage, END + 10)
        waiting = a_job()
        await stage.jobs.add(new_job(waiting))
        (rule,) = rules(60.0, {})
        assert await stage.retention.erase_ended(rule, now=END + 60, limit=9) == 1
        assert await self.erased(stage, old, young, waiting) == [True, False, False]
        assert await stage.jobs.get(old.id) == old.erased(END + 60)
        entries = {entry.job.id: entry async for entry in stage.audit.read(AuditQuery())}
        assert (entries[old.id].request, entries[old.id].response) == (b"", None)

    async def test_it_goes_on_in_small_steps_to_the_end(self, stage: RetentionStage) -> None:
        jobs = [await self.done(stage, END + number % 3) for number in range(7)]
        (rule,) = rules(60.0, {})
        steps = [await stage.retention.erase_ended(rule, now=END + 99, limit=3) for _ in range(4)]
        assert steps == [3, 3, 1, 0]
        assert all(await self.erased(stage, *jobs))
        late = await self.done(stage, END + 50)
        assert await stage.retention.erase_ended(rule, now=END + 999, limit=3) == 1
        assert await self.erased(stage, late) == [True]

    async def test_a_team_may_have_a_span_of_its_own(self, stage: RetentionStage) -> None:
        short, usual = await self.done(stage, team="short"), await self.done(stage)
        ever = await self.done(stage, team="ever")
        for rule in rules(100.0, {"short": 10.0, "ever": None}):
            while await stage.retention.erase_ended(rule, now=END + 50, limit=2):
                pass
        assert await self.erased(stage, short, usual, ever) == [True, False, False]
        for rule in rules(100.0, {"short": 10.0, "ever": None}):
            while await stage.retention.erase_ended(rule, now=END + 500, limit=2):
                pass
        assert await self.erased(stage, short, usual, ever) == [True, True, False]
        # What was kept for ever falls under the rule for all once it has none of its own.
        (rule,) = rules(100.0, {})
        while await stage.retention.erase_ended(rule, now=END + 500, limit=2):
            pass
        assert await self.erased(stage, ever) == [True]

    async def test_a_span_that_grew_erases_nothing_until_it_is_over(
        self, stage: RetentionStage
    ) -> None:
        batch = a_batch()
        await stage.batches.add(batch)
        line = await self.done(stage, batch=batch.id)
        await stage.batches.swap(batch.refused(END, []))
        early = await self.done(stage)
        await self.erase_all(stage, END + 60)
        assert await self.erased(stage, early, line) == [True, True]
        late = await self.done(stage, END + 10)
        (longer,) = rules(600.0, {})
        assert await stage.retention.erase_ended(longer, now=END + 99, limit=9) == 0
        assert await stage.retention.erase_ended(longer, now=END + 610, limit=9) == 1
        assert await self.erased(stage, late) == [True]

    async def test_dead_letters_wait_for_an_operator(self, stage: RetentionStage) -> None:
        dead = a_dead_job(END)
        await stage.jobs.add(new_job(dead))
        (rule,) = rules(60.0, {})
        while await stage.retention.erase_ended(rule, now=END + 60, limit=2):
            pass
        assert await self.erased(stage, dead) == [False]
        await stage.jobs.swap(dead.discarded(END + 70))
        while await stage.retention.erase_ended(rule, now=END + 130, limit=2):
            pass
        assert await self.erased(stage, dead) == [True]

    async def test_a_line_is_erased_after_its_batch_has_ended(self, stage: RetentionStage) -> None:
        batch, other = a_batch(), a_batch()
        for each in (batch, other):
            await stage.batches.add(each)
        lines = [await self.done(stage, batch=batch.id) for _ in range(5)]
        open_line = await self.done(stage, batch=other.id)
        alone = await self.done(stage)
        (rule,) = rules(60.0, {})
        await self.erase_all(stage, END + 500)
        assert await self.erased(stage, alone, *lines) == [True] + 5 * [False]
        await stage.batches.swap(batch.refused(END + 500, []))
        await self.erase_all(stage, END + 559)
        assert await self.erased(stage, *lines) == 5 * [False]
        await self.erase_all(stage, END + 560)
        assert await self.erased(stage, *lines, open_line) == [*5 * [True], False]
        await stage.batches.swap(other.refused(END + 600, []))
        await self.erase_all(stage, END + 999)
        assert await self.erased(stage, open_line) == [True]
        assert await stage.retention.erase_ended(rule, now=END + 999, limit=2) == 0

    async def test_a_dead_line_that_is_given_up_after_its_batch_goes_in_its_turn(
        self, stage: RetentionStage
    ) -> None:
        batch = a_batch()
        await stage.batches.add(batch)
        dead = a_dead_job(END, batch=batch.id)
        await stage.jobs.add(new_job(dead))
        await stage.batches.swap(batch.refused(END, []))
        await self.erase_all(stage, END + 60)
        assert await self.erased(stage, dead) == [False]
        await stage.jobs.swap(dead.discarded(END + 70))
        await self.erase_all(stage, END + 130)
        assert await self.erased(stage, dead) == [True]

    async def test_what_is_written_behind_the_mark_is_erased_a_day_later(
        self, stage: RetentionStage
    ) -> None:
        batch = a_batch()
        await stage.batches.add(batch)
        line = await self.done(stage, batch=batch.id)
        await stage.batches.swap(batch.refused(END, []))
        await self.done(stage, END + 10)
        await self.erase_all(stage, END + 70)
        late = [await self.done(stage, END + number) for number in range(3)]
        late_line = await self.done(stage, batch=batch.id)
        young = await self.done(stage, END + 5)
        await self.erase_all(stage, END + 60 + AGAIN_S + 2, again=True)
        assert all(await self.erased(stage, *late, line, late_line))
        assert await self.erased(stage, young) == [False]
        await self.erase_all(stage, END + 60 + AGAIN_S + 5, again=True)
        assert await self.erased(stage, young) == [True]

    async def erase_all(self, stage: RetentionStage, now: float, *, again: bool = False) -> None:
        """Under one rule that keeps for a minute."""
        (rule,) = rules(60.0, {})
        rule = rule.looking_again() if again else rule
        while await stage.retention.erase_ended(rule, now=now, limit=2):
            pass
