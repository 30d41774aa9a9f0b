"""Stores of documents; their queues are elsewhere."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.adapters.documents.audit import DocumentAudit
from headpond.adapters.documents.batches import DocumentBatchLines, DocumentBatchStore
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.dead_letters import DocumentDeadLetters
from headpond.adapters.documents.endpoints import DocumentEndpointStore
from headpond.adapters.documents.files import DocumentFileStore
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.keys import DocumentKeyStore
from headpond.adapters.documents.open_jobs import DocumentOpenJobs
from headpond.adapters.documents.outbox import DocumentOutbox
from headpond.adapters.documents.retention import DocumentRetention
from headpond.adapters.documents.roster import DocumentRoster
from headpond.adapters.documents.scaling import DocumentScalingStore
from headpond.adapters.documents.streams import DocumentTokenStreams
from headpond.adapters.documents.table import Table
from headpond.adapters.documents.workload import DocumentWorkload
from headpond.adapters.local.blobs import LocalBlobs
from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.ports.clock import Clock
from headpond.ports.objects import ObjectStore
from headpond.ports.queue import Queue
from headpond.settings import Settings
from headpond.wiring.stores import Store, home_of, two_steps


@asynccontextmanager
async def dynamodb_store(
    settings: Settings, clock: Clock, queue: Queue, objects: ObjectStore | None
) -> AsyncGenerator[Store]:
    """A table of DynamoDB, for as long as the context lasts. Raises SettingsError.

    Large bodies go to `objects`.
    """
    from headpond.adapters.aws.calls import place_of
    from headpond.adapters.aws.table import open_table

    async with (
        open_table(place_of(settings.store)) as table,
        _store(table, settings, clock, queue, objects) as store,
    ):
        yield store


@asynccontextmanager
async def firestore_store(
    settings: Settings, clock: Clock, queue: Queue, objects: ObjectStore | None
) -> AsyncGenerator[Store]:
    """A collection of Firestore, likewise."""
    from headpond.adapters.gcp.places import place_of
    from headpond.adapters.gcp.table import open_table

    async with (
        open_table(place_of(settings.store)) as table,
        _store(table, settings, clock, queue, objects) as store,
    ):
        yield store


@asynccontextmanager
async def cosmos_store(
    settings: Settings, clock: Clock, queue: Queue, objects: ObjectStore | None
) -> AsyncGenerator[Store]:
    """A container of Cosmos DB, likewise."""
    from headpond.adapters.azure.account import place_of
    from headpond.adapters.azure.table import open_table

    async with (
        open_table(place_of(settings.store), clock) as table,
        _store(table, settings, clock, queue, objects) as store,
    ):
        yield store


@asynccontextmanager
async def _store(
    table: Table, settings: Settings, clock: Clock, queue: Queue, objects: ObjectStore | None
) -> AsyncGenerator[Store]:
    """Everything in one table, but for files of batches, which lie in the data folder."""
    bodies = DocumentBodies(table, clock, objects)
    jobs = DocumentJobStore(table, clock, bodies)
    batches, lines = DocumentBatchStore(table), DocumentBatchLines(table, bodies)
    try:
        yield Store(
            clock=clock,
            jobs=jobs,
            open_jobs=DocumentOpenJobs(table),
            queue=queue,
            audit=DocumentAudit(table, bodies),
            dead_letters=DocumentDeadLetters(table),
            keys=DocumentKeyStore(table),
            retention=DocumentRetention(table, jobs, batches, lines),
            batches=batches,
            lines=lines,
            files=DocumentFileStore(table),
            blobs=LocalBlobs(home_of(settings) / "files"),
            roster=DocumentRoster(table),
            endpoints=DocumentEndpointStore(table),
            outbox=DocumentOutbox(table, clock, settings.webhooks.keep_s),
            streams=DocumentTokenStreams(table, clock),
            buckets=MemoryBuckets(clock),
            scaling=DocumentScalingStore(table, clock, settings.scaler.keep_s),
            workload=DocumentWorkload(table),
            delivery=two_steps(jobs, queue, clock),
            body_bytes=bodies.most_bytes,
            leftovers=bodies,
        )
    finally:
        await jobs.close()
