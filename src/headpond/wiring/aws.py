"""The store in a table of DynamoDB; its queue is elsewhere."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.adapters.aws.audit import DynamoAudit
from headpond.adapters.aws.batches import DynamoBatchLines, DynamoBatchStore
from headpond.adapters.aws.calls import place_of
from headpond.adapters.aws.dead_letters import DynamoDeadLetters
from headpond.adapters.aws.endpoints import DynamoEndpointStore
from headpond.adapters.aws.files import DynamoFileStore
from headpond.adapters.aws.jobs import DynamoJobStore
from headpond.adapters.aws.keys import DynamoKeyStore
from headpond.adapters.aws.open_jobs import DynamoOpenJobs
from headpond.adapters.aws.outbox import DynamoOutbox
from headpond.adapters.aws.retention import DynamoRetention
from headpond.adapters.aws.roster import DynamoRoster
from headpond.adapters.aws.scaling import DynamoScalingStore
from headpond.adapters.aws.streams import DynamoTokenStreams
from headpond.adapters.aws.table import open_table
from headpond.adapters.aws.workload import DynamoWorkload
from headpond.adapters.local.blobs import LocalBlobs
from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.ports.clock import Clock
from headpond.ports.queue import Queue
from headpond.settings import Settings
from headpond.wiring.stores import Store, home_of, two_steps


@asynccontextmanager
async def dynamodb_store(settings: Settings, clock: Clock, queue: Queue) -> AsyncGenerator[Store]:
    """Opened, for as long as the context lasts; files of batches lie in the data folder.

    Raises SettingsError.
    """
    async with open_table(place_of(settings.store)) as table:
        jobs = DynamoJobStore(table, clock)
        batches, lines = DynamoBatchStore(table), DynamoBatchLines(table)
        try:
            yield Store(
                clock=clock,
                jobs=jobs,
                open_jobs=DynamoOpenJobs(table),
                queue=queue,
                audit=DynamoAudit(table),
                dead_letters=DynamoDeadLetters(table),
                keys=DynamoKeyStore(table),
                retention=DynamoRetention(table, jobs, batches, lines),
                batches=batches,
                lines=lines,
                files=DynamoFileStore(table),
                blobs=LocalBlobs(home_of(settings) / "files"),
                roster=DynamoRoster(table),
                endpoints=DynamoEndpointStore(table),
                outbox=DynamoOutbox(table),
                streams=DynamoTokenStreams(table, clock),
                buckets=MemoryBuckets(clock),
                scaling=DynamoScalingStore(table),
                workload=DynamoWorkload(table),
                delivery=two_steps(jobs, queue, clock),
            )
        finally:
            await jobs.close()
