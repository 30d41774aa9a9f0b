"""What a team does with its batches. SPEC G2."""

from headpond.domain.batch import Batch, BatchStatus
from headpond.domain.identity import Identity
from headpond.testing.batches_suite import RUNNER, a_batch
from tests.stages import Stage

TEAM = Identity("team")


async def test_a_cancel_is_tried_again_when_a_runner_was_faster() -> None:
    stage = Stage()
    batch = a_batch()
    await stage.batch_store.add(batch)
    swap, faster = stage.batch_store.swap, batch.took(RUNNER, stage.clock.now() + 30)

    async def slow(after: Batch) -> bool:
        stage.batch_store.swap = swap
        await swap(faster)
        return await swap(after)

    stage.batch_store.swap = slow
    cancelled = await stage.parts.batches.cancel(batch.id, TEAM)

    assert cancelled.status is BatchStatus.CANCELLING
    assert cancelled.runner == RUNNER
    assert await stage.parts.batches.cancel(batch.id, TEAM) == cancelled
