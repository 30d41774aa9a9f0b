"""The duty erases all that is due. SPEC Q6."""

from headpond.adapters.memory.retention import MemoryRetention
from headpond.domain.retention import rules
from headpond.services.body_eraser import MARGIN_S, STEP, BodyEraser
from tests.stages import Stage


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
    until = stage.clock.now()

    async def archived_until() -> float:
        return until

    retention = MemoryRetention(stage.jobs, stage.batch_store)
    eraser = BodyEraser(retention, rules(60.0, {}), stage.clock, archived_until)
    stage.manual.advance(600)
    await eraser.tick()
    assert len(stage.jobs._bodies) == 1
    until += MARGIN_S
    await eraser.tick()
    assert stage.jobs._bodies == {}


def test_without_a_span_there_is_no_rule() -> None:
    assert rules(None, {"a": None}) == []
