"""What a record that cannot be read must do to others: nothing. Give the suite a `stage` fixture.

A newer release beside this one wrote it, or it is damaged.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from headpond.domain.batch import RunnerName
from headpond.domain.claim import ASIDE_S
from headpond.domain.job import BatchId, JobId
from headpond.domain.lane import lanes_of
from headpond.domain.retention import rules
from headpond.errors import Unreadable
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.dead_letters import DeadLetters, DeadQuery
from headpond.ports.delivery import Delivery
from headpond.ports.jobs import HELD_ON_S, JobQuery, JobStore, OpenJobs
from headpond.ports.queue import Queue
from headpond.ports.retention import Retention
from headpond.ports.streams import TokenStreams
from headpond.testing.batches_suite import a_batch
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.queue_suite import BATCH
from headpond.testing.records import a_job, new_job

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class UnreadableStage:
    """A store with its delivery. `damage` and `damage_batch` make a record's next version `{}`."""

    clock: ManualClock
    jobs: JobStore
    queue: Queue
    delivery: Delivery
    open_jobs: OpenJobs
    dead: DeadLetters
    retention: Retention
    batches: BatchStore
    lines: BatchLines
    streams: TokenStreams
    damage: Callable[[JobId], Awaitable[None]]
    damage_batch: Callable[[BatchId], Awaitable[None]]


class UnreadableSuite:
    """SPEC G7: what a newer release wrote is left alone (decisions/0028)."""

    @pytest.fixture
    async def stage(self) -> UnreadableStage:
        raise NotImplementedError("give the suite a store and a way to damage its records")

    async def test_its_message_is_set_aside(
        self, stage: UnreadableStage, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = (await stage.delivery.submit(new_job())).job
        sound = (await stage.delivery.submit(new_job())).job
        await stage.damage(broken.id)
        claims = await stage.delivery.claim(lanes_of("default"), worker="w", limit=9)
        assert [claim.job.id for claim in claims] == [sound.id]
        assert broken.id in caplog.text
        with pytest.raises(Unreadable):
            await stage.jobs.get(broken.id)
        assert (await stage.queue.depth(BATCH)).delayed == 1
        stage.clock.advance(ASIDE_S)
        assert (await stage.queue.depth(BATCH)).ready == 2

    async def test_it_costs_no_other_claim_its_heartbeat(self, stage: UnreadableStage) -> None:
        for _ in range(2):
            await stage.delivery.submit(new_job())
        broken, sound = await stage.delivery.claim(lanes_of("default"), worker="w", limit=2)
        await stage.damage(broken.job.id)
        assert await stage.delivery.renew([broken, sound]) == [sound]

    async def test_lists_leave_it_out(self, stage: UnreadableStage) -> None:
        now = stage.clock.now()
        damaged, waiting = (a_job(deadline=now).enqueued(now) for _ in range(2))
        damaged_too, dead = a_dead_job(now), a_dead_job(now)
        for job in (damaged, waiting, damaged_too, dead):
            await stage.jobs.add(new_job(job))
        for job in (damaged, damaged_too):
            await stage.damage(job.id)
        assert await stage.jobs.find(JobQuery()) == [dead, waiting]
        assert await stage.jobs.find(JobQuery(team="team")) == [dead, waiting]
        assert await stage.jobs.due(now=now, accepted_before=now, limit=9) == [waiting]
        assert await stage.open_jobs.page(None, limit=9) == [waiting]
        assert [job async for job in stage.dead.read(DeadQuery())] == [dead]

    async def test_others_are_erased_and_it_is_not(self, stage: UnreadableStage) -> None:
        damaged, ended = (a_job().cancelled(stage.clock.now()) for _ in range(2))
        for job in (damaged, ended):
            await stage.jobs.add(new_job(job))
        await stage.damage(damaged.id)
        (rule,) = rules(60.0, {})
        while await stage.retention.erase_ended(rule, now=stage.clock.now() + 60, limit=9):
            pass
        assert await stage.jobs.bodies(ended.id) is None
        assert await stage.jobs.bodies(damaged.id) is not None

    async def test_what_belongs_to_it_is_kept(self, stage: UnreadableStage) -> None:
        now = stage.clock.now()
        running = a_job(stream=True).claimed("w", now)
        await stage.jobs.add(new_job(running, key="k"))
        await stage.streams.begin(running.id, running.version)
        await stage.damage(running.id)
        assert await stage.jobs.forget_keys(now + DAY_S, limit=9) == 0
        assert await stage.jobs.forget_keys(now + DAY_S + HELD_ON_S, limit=9) == 0
        assert await stage.streams.forget(now + DAY_S) == 0

    async def test_batches_and_lines_beside_it_go_on(self, stage: UnreadableStage) -> None:
        broken, sound = a_batch(), a_batch()
        damaged, line = a_job(batch=sound.id), a_job(batch=sound.id)
        for batch in (broken, sound):
            await stage.batches.add(batch)
        for job in (damaged, line):
            await stage.jobs.add(new_job(job))
        await stage.damage_batch(broken.id)
        await stage.damage(damaged.id)
        assert await stage.batches.due(RunnerName("r"), stage.clock.now(), 9) == [sound]
        assert await stage.lines.unended(sound.id, 9) == [line]
