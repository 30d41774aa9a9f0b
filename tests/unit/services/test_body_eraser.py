"""The duty erases all that is due. SPEC Q6."""

import math
from pathlib import Path

import pytest
from typing_extensions import override

from headpond.adapters.memory.retention import MemoryRetention
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.retention import SqliteRetention
from headpond.domain.job import Job, Usage
from headpond.domain.retention import AGAIN_S, Rule, rules
from headpond.errors import Unavailable
from headpond.ports.retention import Retention
from headpond.services.body_eraser import MARGIN_S, STEP, Archived, BodyEraser
from headpond.testing.clocks import ManualClock
from headpond.testing.records import RESPONSE, a_job, new_job
from tests.stages import Stage


class Archive(Archived):
    """An archive that has come that far."""

    def __init__(self, until: float, checked: float = -math.inf) -> None:
        self.archived_until, self.archived_checked = until, checked

    @override
    async def until(self) -> float:
        return self.archived_until

    @override
    async def checked(self) -> float:
        return self.archived_checked


async def test_a_tick_erases_all_that_is_due() -> None:
    stage = Stage()
    for _ in range(STEP + 1):
        await stage.post("/jobs", {"prompt": "a"})
        await stage.work()
    retention = MemoryRetention(stage.jobs, stage.batch_store)
    retainer = BodyEraser(retention, rules(60.0, {}), stage.clock)
    await retainer.tick()
    assert len(stage.jobs._bodies) == STEP + 1
    stage.manual.advance(60)
    await retainer.tick()
    assert stage.jobs._bodies == {}


async def test_what_is_not_archived_yet_is_not_erased() -> None:  # SPEC A2
    stage = Stage()
    await stage.post("/jobs", {"prompt": "a"})
    await stage.work()
    archived = Archive(until=stage.clock.now())
    retention = MemoryRetention(stage.jobs, stage.batch_store)
    eraser = BodyEraser(retention, rules(60.0, {}), stage.clock, archived)
    stage.manual.advance(600)
    await eraser.tick()
    assert len(stage.jobs._bodies) == 1
    archived.archived_until += MARGIN_S
    await eraser.tick()
    assert stage.jobs._bodies == {}
    [job] = stage.jobs.ended()
    assert job.erased_at == stage.clock.now()


async def ended(database: Database, clock: ManualClock, at: float) -> Job:
    """A job whose end is written now."""
    jobs = SqliteJobStore(database, clock)
    job = a_job().claimed("w", at)
    await jobs.add(new_job(job))
    done = job.succeeded(at, engine="e", usage=Usage(1, 2))
    assert await jobs.swap(done, RESPONSE)
    return done


async def there(database: Database, clock: ManualClock, job: Job) -> bool:
    return await SqliteJobStore(database, clock).bodies(job.id) is not None


@pytest.mark.parametrize("with_archive", [False, True])
async def test_a_result_that_is_written_late_is_erased_a_day_later(
    tmp_path: Path, *, with_archive: bool
) -> None:  # SPEC Q6
    database, clock = Database(tmp_path / "headpond.db", inline=True), ManualClock()
    database.open()
    end = clock.now()
    archived = Archive(until=end + 1e6, checked=end) if with_archive else None
    eraser = BodyEraser(SqliteRetention(database), rules(600.0, {}), clock, archived)
    early = await ended(database, clock, end + 1)
    clock.advance(660)  # the store was away meanwhile
    await eraser.tick()
    late = await ended(database, clock, end)
    assert not await there(database, clock, early)
    clock.advance(AGAIN_S - 61)
    await eraser.tick()
    assert await there(database, clock, late)
    clock.advance(1)
    await eraser.tick()
    if archived is not None:
        assert await there(database, clock, late)
        archived.archived_checked += MARGIN_S
        await eraser.tick()
    assert not await there(database, clock, late)
    await database.close()


class Failing(Retention):
    """Of some rules nothing can be erased."""

    def __init__(self, retention: Retention, *teams: str) -> None:
        self._retention = retention
        self._teams = teams

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        if rule.team in self._teams:
            raise Unavailable(f"not for {rule.team}", code="store_unavailable")
        return await self._retention.erase_ended(rule, now=now, limit=limit)


async def test_a_rule_that_fails_is_told_when_the_others_have_had_their_turn() -> None:
    stage = Stage()
    await stage.post("/jobs", {"prompt": "a"})
    await stage.work()
    stage.manual.advance(60)
    retention = Failing(MemoryRetention(stage.jobs, stage.batch_store), "a")
    eraser = BodyEraser(retention, rules(60.0, {"a": 1.0}), stage.clock)
    with pytest.raises(Unavailable, match="not for a"):
        await eraser.tick()
    assert stage.jobs._bodies == {}


def test_without_a_span_there_is_no_rule() -> None:
    assert rules(None, {"a": None}) == []
