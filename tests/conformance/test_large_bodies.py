"""Large bodies lie in an object store: of DynamoDB in S3, of Cosmos DB here in a folder."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typing_extensions import override

from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.table import open_table as open_dynamodb
from headpond.adapters.azure.account import Place as AzurePlace
from headpond.adapters.azure.table import open_table as open_cosmos
from headpond.adapters.documents.audit import DocumentAudit
from headpond.adapters.documents.batches import DocumentBatchLines, DocumentBatchStore
from headpond.adapters.documents.bodies import FORSAKEN_S, INLINE, DocumentBodies
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.retention import DocumentRetention
from headpond.adapters.documents.table import Table
from headpond.adapters.obstore.objects import Objects
from headpond.adapters.obstore.opening import open_at
from headpond.domain.archive import ObjectName
from headpond.domain.job import Job, Usage
from headpond.domain.retention import rules
from headpond.errors import Unavailable
from headpond.ports.audit import AuditEntry, AuditQuery
from headpond.ports.jobs import Bodies, NewJob
from headpond.testing.batches_suite import a_batch
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job
from headpond.wiring.gateways import _sweep_all
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.moto_server import moto_server

LARGE = b'{"a":"%s"}' % (b"x" * 3_500_000)
OTHER = b'{"b":"%s"}' % (b"y" * INLINE)


class Bucket(Objects):
    """Does not delete what is `held`; takes nothing while it is `full`."""

    full = False
    held = ""

    @override
    async def put(self, name: ObjectName, data: bytes) -> None:
        if self.full:
            raise Unavailable("full", code="bodies_unavailable")
        await super().put(name, data)

    @override
    async def delete(self, name: ObjectName) -> None:
        if name == self.held:
            raise Unavailable("held", code="bodies_unavailable")
        await super().delete(name)

    async def lying(self) -> int:
        """How many bodies lie there."""
        return len([name async for name in self.names("bodies/")])


class Stage:
    """A job store with its object store."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self.clock = ManualClock()
        self.table = table
        self.bucket = bucket
        self.bodies = DocumentBodies(table, self.clock, bucket)
        self.jobs = DocumentJobStore(table, self.clock, self.bodies)

    async def running(self, **fields: Any) -> Job:
        """A job with a large request."""
        job = a_job(**fields).claimed("w", self.clock.now())
        await self.jobs.add(NewJob(job, LARGE))
        return job

    async def done(self, **fields: Any) -> Job:
        """A job with a large result besides."""
        job = (await self.running(**fields)).succeeded(
            self.clock.now(), engine="e", usage=Usage(1, 2)
        )
        assert await self.jobs.swap(job, OTHER)
        return job

    async def sweep(self) -> int:
        """As a gateway does, once the time for writing is over."""
        self.clock.advance(FORSAKEN_S + 1)
        return await self.bodies.remove(limit=9)


@pytest.fixture(params=["dynamodb", "cosmos"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    if request.param == "cosmos":
        async with (
            cosmos_server(Cosmos()) as cosmos,
            open_cosmos(AzurePlace(cosmos.url, "tests", "large", KEY), ManualClock()) as table,
        ):
            stage = Stage(table, Bucket(open_at("here", f"file://{tmp_path}", {})))
            yield stage
            await stage.jobs.close()
        return
    name = uuid.uuid4().hex  # all servers of moto have the same buckets
    with moto_server() as moto:
        async with aiohttp.ClientSession() as session:
            await session.put(f"{moto.url}/pond")
        options = {"aws_endpoint": moto.url, "aws_region": "eu-central-1"}
        bucket = Bucket(open_at("here", f"s3://pond/{name}", options))
        async with open_dynamodb(Place("eu-central-1", name, moto.url)) as table:
            stage = Stage(table, bucket)
            yield stage
            await stage.jobs.close()
        moto.forget_tables()


async def test_a_large_body_lies_in_the_object_store(stage: Stage) -> None:
    done = await stage.done()
    assert await stage.jobs.bodies(done.id) == Bodies(LARGE, OTHER)
    assert await stage.bucket.lying() == 2
    (entry,) = [
        entry async for entry in DocumentAudit(stage.table, stage.bodies).read(AuditQuery())
    ]
    assert (entry.request, entry.response) == (LARGE, OTHER)
    assert await stage.sweep() == 0
    assert await stage.jobs.bodies(done.id) == Bodies(LARGE, OTHER)
    assert await stage.jobs.erase(done.erased(stage.clock.now()))
    assert await stage.jobs.bodies(done.id) is None
    assert await stage.bodies.remove(limit=9) == 2
    assert await stage.bucket.lying() == 0
    assert len(await stage.table.under(f"job#{done.id}")) == 1


async def test_a_small_body_stays_in_the_table(stage: Stage) -> None:
    job = a_job()
    await stage.jobs.add(NewJob(job, LARGE[:INLINE]))
    assert await stage.jobs.bodies(job.id) == Bodies(LARGE[:INLINE])
    assert await stage.bucket.lying() == 0


async def test_retention_and_batches_know_large_bodies(stage: Stage) -> None:
    batch = a_batch()
    batches = DocumentBatchStore(stage.table)
    lines = DocumentBatchLines(stage.table, stage.bodies)
    await batches.add(batch)
    line, alone = await stage.done(batch=batch.id), await stage.done()
    (found,) = await lines.present([line.id])
    assert found.bodies == Bodies(LARGE, OTHER)
    retention = DocumentRetention(stage.table, stage.jobs, batches, lines)
    (rule,) = rules(60.0, {})
    while await retention.erase_ended(rule, now=stage.clock.now() + 60, limit=9):
        pass
    assert await stage.jobs.bodies(alone.id) is None
    assert await stage.jobs.bodies(line.id) == Bodies(LARGE, OTHER)
    assert await stage.bodies.remove(limit=9) == 2
    assert await stage.bucket.lying() == 2


async def test_who_dies_between_the_object_and_the_record_leaves_nothing_for_long(
    stage: Stage,
) -> None:
    running = await stage.running()
    await stage.bodies.stored(running.id, "response", OTHER)
    assert await stage.bucket.lying() == 2
    assert await stage.bodies.remove(limit=9) == 0
    assert await stage.jobs.bodies(running.id) == Bodies(LARGE)
    assert await stage.sweep() == 1
    assert await stage.bucket.lying() == 1
    assert await stage.jobs.bodies(running.id) == Bodies(LARGE)


async def test_who_sleeps_between_the_object_and_the_record_writes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, stored = a_job(), stage.bodies.stored

    async def slowly(*args: Any) -> Any:
        kept = await stored(*args)
        assert await stage.sweep() == 1
        return kept

    monkeypatch.setattr(stage.bodies, "stored", slowly)
    with pytest.raises(Unavailable) as raised:
        await stage.jobs.add(NewJob(job, LARGE))
    assert raised.value.code == "body_removed"
    assert await stage.jobs.get(job.id) is None
    assert await stage.bucket.lying() == 0


async def test_of_two_results_the_one_that_came_first_stays(stage: Stage) -> None:
    done = await stage.done()
    assert not await stage.jobs.swap(done, LARGE)
    assert await stage.bodies.remove(limit=9) == 1
    assert await stage.jobs.bodies(done.id) == Bodies(LARGE, OTHER)
    assert await stage.bucket.lying() == 2


async def test_an_object_that_cannot_be_deleted_holds_up_no_other(stage: Stage) -> None:
    done = await stage.done()
    assert await stage.jobs.erase(done.erased(stage.clock.now()))
    stage.bucket.held = min([name async for name in stage.bucket.names("bodies/")])
    stage.clock.advance(1)
    with pytest.raises(Unavailable):
        await stage.bodies.remove(limit=1)
    assert await stage.bodies.remove(limit=1) == 1
    assert [name async for name in stage.bucket.names("bodies/")] == [stage.bucket.held]
    with pytest.raises(Unavailable):
        await _sweep_all(stage.bodies)
    stage.bucket.held = ""
    assert await stage.bodies.remove(limit=9) == 1
    assert await stage.bucket.lying() == 0
    assert len(await stage.table.under(f"job#{done.id}")) == 1


async def test_a_sweep_goes_on_behind_what_cannot_be_deleted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.wiring.gateways.SWEPT_AT_ONCE", 2)
    for _ in range(2):
        done = await stage.done()
        assert await stage.jobs.erase(done.erased(stage.clock.now()))
    stage.bucket.held = min([name async for name in stage.bucket.names("bodies/")])
    stage.clock.advance(1)
    with pytest.raises(Unavailable):
        await _sweep_all(stage.bodies)
    assert await stage.bucket.lying() == 1


async def test_an_object_that_is_not_taken_leaves_no_place(stage: Stage) -> None:
    job = await stage.running()
    before = await stage.table.under(f"job#{job.id}")
    stage.bucket.full = True
    done = job.succeeded(stage.clock.now(), engine="e", usage=Usage(1, 2))
    for _ in range(3):
        with pytest.raises(Unavailable):
            await stage.jobs.swap(done, OTHER)
    assert await stage.bodies.remove(limit=9) == 3
    assert await stage.table.under(f"job#{job.id}") == before
    stage.bucket.full = False
    assert await stage.jobs.swap(done, OTHER)


async def test_a_body_that_is_missing_is_not_taken_for_erased(stage: Stage) -> None:
    done = await stage.done()
    with pytest.raises(Unavailable, match="lies in an object store: set"):
        await DocumentBodies(stage.table, stage.clock).read(done.id)
    for name in [name async for name in stage.bucket.names("bodies/")]:
        await stage.bucket.delete(name)
    audit = DocumentAudit(stage.table, stage.bodies)
    for read in (stage.jobs.bodies(done.id), anext(audit.read(AuditQuery()))):
        with pytest.raises(Unavailable, match=f"or erase the job's bodies: DELETE /jobs/{done.id}"):
            await read
    assert [job async for job in audit.jobs(AuditQuery())] == [done]
    erased = done.erased(stage.clock.now())
    assert await stage.jobs.erase(erased)
    assert [entry async for entry in audit.read(AuditQuery())] == [AuditEntry(erased, b"")]
    assert await stage.bodies.remove(limit=9) == 2
