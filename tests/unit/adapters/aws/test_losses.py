"""What SQS loses for good is sent again, and each job has one end."""

import pytest

from headpond.adapters.aws.queue import ATTRIBUTES, SqsQueue
from headpond.adapters.aws.table import DynamoTable
from headpond.adapters.documents.audit import DocumentAudit
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.open_jobs import DocumentOpenJobs
from headpond.domain.job import Job, JobState, Usage
from headpond.domain.outcome import Settlement
from headpond.domain.queue_limits import SQS
from headpond.ports.audit import AuditQuery
from headpond.ports.delivery import Claim
from headpond.ports.queue import message_of
from headpond.services.undelivered_messages import UndeliveredMessages
from headpond.services.unseen_messages import UnseenMessages
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letter_queue_suite import come_to_nothing, look_aside
from headpond.testing.delivery_suite import Stage, two_steps
from headpond.testing.queue_suite import BATCH
from headpond.testing.records import RESPONSE, a_job, new_job
from tests.unit.services.pond import Ear


@pytest.fixture
def stage(table: DynamoTable, jobs: DocumentJobStore, queue: SqsQueue, clock: ManualClock) -> Stage:
    audit = DocumentAudit(table, DocumentBodies(table, clock))
    return Stage(two_steps(jobs, queue, clock), jobs, queue, audit, clock)


@pytest.fixture
def duty(table: DynamoTable, stage: Stage) -> UnseenMessages:
    assert SqsQueue.unseen_s is not None
    return UnseenMessages(
        DocumentOpenJobs(table),
        stage.delivery,
        clock=stage.clock,
        listener=Ear(),
        unseen_s=SqsQueue.unseen_s,
    )


async def submit(stage: Stage) -> Job:
    added = await stage.delivery.submit(new_job(a_job(accepted_at=stage.clock.now())))
    return added.job


async def claim(stage: Stage) -> list[Claim]:
    return await stage.delivery.claim([BATCH], worker="w", limit=10)


async def succeed(stage: Stage, held: Claim) -> bool:
    done = held.job.succeeded(stage.clock.now(), engine="e", usage=Usage(1, 1))
    return await stage.delivery.settle(held, Settlement(job=done, response=RESPONSE))


async def ends(stage: Stage) -> list[JobState]:
    return [job.state async for job in stage.audit.jobs(AuditQuery())]


async def purge(queue: SqsQueue) -> None:
    await queue._service.call("PurgeQueue", QueueUrl=queue._urls[queue._name(BATCH)])


async def test_what_was_purged_ends_once(
    stage: Stage, queue: SqsQueue, duty: UnseenMessages
) -> None:
    await submit(stage)
    await purge(queue)
    assert await duty.tick() == 0
    assert await claim(stage) == []
    stage.clock.advance(SQS.keep_s / 2)
    assert await duty.tick() == 1
    (held,) = await claim(stage)
    assert await succeed(stage, held)
    assert await ends(stage) == [JobState.SUCCEEDED]
    stage.clock.advance(SQS.keep_s / 2)
    assert await duty.tick() == 0
    assert await claim(stage) == []


async def test_what_was_purged_under_a_worker_that_died_ends_once(
    stage: Stage, queue: SqsQueue, duty: UnseenMessages
) -> None:
    await submit(stage)
    (fallen,) = await claim(stage)
    await purge(queue)
    stage.clock.advance(SQS.keep_s / 2)
    assert await duty.tick() == 1
    (held,) = await claim(stage)
    assert not await succeed(stage, fallen)
    assert await succeed(stage, held)
    assert await ends(stage) == [JobState.SUCCEEDED]


async def test_a_message_that_was_not_lost_after_all_means_nothing(
    stage: Stage, duty: UnseenMessages
) -> None:
    job = await submit(stage)
    stage.clock.advance(SQS.keep_s / 2)
    assert await duty.tick() == 1
    assert (await stage.queue.depth(BATCH)).ready == 2
    (held,) = await claim(stage)
    assert held.job.id == job.id
    assert held.job.ticket != job.ticket
    assert await succeed(stage, held)
    depth = await stage.queue.depth(BATCH)
    assert (depth.ready, depth.leased) == (0, 0)
    assert await ends(stage) == [JobState.SUCCEEDED]


async def test_a_job_may_wait_for_longer_than_sqs_keeps_a_message(
    stage: Stage, queue: SqsQueue, duty: UnseenMessages
) -> None:
    await submit(stage)
    for _ in range(3):
        stage.clock.advance(SQS.keep_s / 2)
        assert await duty.tick() == 1
    assert len(await claim(stage)) == 1
    assert queue._service.calls["SendMessageBatch"] == 4


async def test_what_came_to_nothing_too_often_is_set_aside_and_ends_once(stage: Stage) -> None:
    assert isinstance(stage.queue, SqsQueue)
    undelivered = UndeliveredMessages(
        stage.queue, [BATCH], stage.jobs, stage.delivery, clock=stage.clock, listener=Ear()
    )
    job = await submit(stage)
    await come_to_nothing(stage.queue, [message_of(job)], int(SQS.deliveries))
    assert await claim(stage) == []
    assert await undelivered.tick() == 1
    (held,) = await claim(stage)
    assert (held.job.id, held.job.attempts) == (job.id, 1)
    assert await succeed(stage, held)
    stage.clock.advance(600)
    assert await undelivered.tick() == 0
    assert await claim(stage) == []
    assert await ends(stage) == [JobState.SUCCEEDED]


async def test_a_lane_that_was_made_beforehand_may_have_no_dead_letters(
    stage: Stage, queue: SqsQueue
) -> None:
    name = queue._name(BATCH)
    await queue._service.call("CreateQueue", QueueName=name, Attributes=ATTRIBUTES)
    job = await submit(stage)
    await come_to_nothing(queue, [message_of(job)], int(SQS.deliveries) + 1)
    assert await look_aside(queue) == []
    await queue.discard(BATCH, await queue.receive([BATCH], limit=1, lease_s=10))
