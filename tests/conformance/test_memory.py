"""The memory adapters keep the contracts."""

from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.batches import MemoryBatchLines, MemoryBatchStore
from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.adapters.memory.cache import MemoryAnswerCache
from headpond.adapters.memory.dead_letters import MemoryDeadLetters
from headpond.adapters.memory.endpoints import MemoryEndpointStore
from headpond.adapters.memory.files import MemoryBlobs, MemoryFileStore
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.keys import MemoryKeyStore
from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.memory.retention import MemoryRetention
from headpond.adapters.memory.roster import MemoryRoster
from headpond.adapters.memory.scaling import MemoryScalingStore
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.adapters.memory.workload import MemoryWorkload
from headpond.services.counted_queue import CountedQueue
from headpond.testing.batches_suite import BatchStage, BatchSuite
from headpond.testing.blobs_suite import BlobsSuite
from headpond.testing.buckets_suite import BucketsSuite, BucketStage
from headpond.testing.cache_suite import ROOM, AnswerCacheSuite, CacheStage
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import DeadLettersSuite, DeadStage
from headpond.testing.delivery_suite import (
    DeliverySuite,
    Stage,
    two_steps,
)
from headpond.testing.fair_queue_suite import FairQueueSuite
from headpond.testing.files_suite import FileStoreSuite
from headpond.testing.jobs_suite import JobStoreSuite
from headpond.testing.keys_suite import KeyStoreSuite
from headpond.testing.message_lookup_suite import MessageLookupSuite
from headpond.testing.open_jobs_suite import OpenJobsSuite, OpenStage
from headpond.testing.retention_suite import RetentionStage, RetentionSuite
from headpond.testing.roster_suite import RosterSuite
from headpond.testing.scaling_suite import ScalingStoreSuite
from headpond.testing.streams_suite import Stage as StreamStage
from headpond.testing.streams_suite import TokenStreamsSuite
from headpond.testing.webhooks_suite import Stores, WebhookSuite
from headpond.testing.workload_suite import WorkloadStage, WorkloadSuite


class TestMemoryQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock) -> MemoryQueue:
        return MemoryQueue(clock)


class TestCountedQueue(FairQueueSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock) -> AsyncIterator[CountedQueue]:  # pyright: ignore[reportIncompatibleMethodOverride]
        queue = MemoryQueue(clock)
        counted = CountedQueue(queue, MemoryWorkload(queue, MemoryJobStore(clock)))
        yield counted
        await counted.close()


class TestMemoryJobStore(JobStoreSuite):
    @pytest.fixture
    @override
    async def jobs(self, clock: ManualClock) -> MemoryJobStore:
        return MemoryJobStore(clock)


class TestMemoryMessageLookup(MessageLookupSuite):
    @pytest.fixture
    @override
    async def queue(self, clock: ManualClock) -> MemoryQueue:
        return MemoryQueue(clock)


class TestMemoryOpenJobs(OpenJobsSuite):
    @pytest.fixture
    @override
    async def stage(self) -> OpenStage:
        jobs = MemoryJobStore(ManualClock())
        return OpenStage(jobs, jobs)


class TestMemoryBuckets(BucketsSuite):
    @pytest.fixture
    @override
    async def stage(self) -> BucketStage:
        clock = ManualClock()
        buckets = MemoryBuckets(clock)
        # One process has one clock.
        return BucketStage(buckets, buckets, clock, ManualClock())


class TestMemoryDeadLetters(DeadLettersSuite):
    @pytest.fixture
    @override
    async def stage(self) -> DeadStage:
        jobs = MemoryJobStore(ManualClock())
        return DeadStage(MemoryDeadLetters(jobs), jobs)


class TestMemoryRetention(RetentionSuite):
    @pytest.fixture
    @override
    async def stage(self) -> RetentionStage:
        jobs = MemoryJobStore(ManualClock())
        batches = MemoryBatchStore()
        return RetentionStage(MemoryRetention(jobs, batches), jobs, MemoryAudit(jobs), batches)


class TestMemoryKeyStore(KeyStoreSuite):
    @pytest.fixture
    @override
    async def keys(self) -> MemoryKeyStore:
        return MemoryKeyStore()


class TestMemoryRoster(RosterSuite):
    @pytest.fixture
    @override
    async def roster(self) -> MemoryRoster:
        return MemoryRoster()


class TestMemoryScalingStore(ScalingStoreSuite):
    @pytest.fixture
    @override
    async def scaling(self) -> MemoryScalingStore:
        return MemoryScalingStore()


class TestMemoryWorkload(WorkloadSuite):
    @pytest.fixture
    @override
    async def stage(self) -> WorkloadStage:
        clock = ManualClock()
        queue, jobs = MemoryQueue(clock), MemoryJobStore(clock)
        return WorkloadStage(MemoryWorkload(queue, jobs), jobs, queue)


class TestMemoryWebhooks(WebhookSuite):
    @pytest.fixture
    @override
    async def stores(self) -> Stores:
        outbox = MemoryOutbox()
        return Stores(
            MemoryJobStore(ManualClock(), outbox),
            MemoryBatchStore(outbox),
            MemoryEndpointStore(outbox),
            outbox,
        )


class TestMemoryTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self) -> StreamStage:
        jobs = MemoryJobStore(ManualClock())
        return StreamStage(MemoryTokenStreams(jobs), jobs)


class TestMemoryFileStore(FileStoreSuite):
    @pytest.fixture
    @override
    async def files(self) -> MemoryFileStore:
        return MemoryFileStore()


class TestMemoryBlobs(BlobsSuite):
    @pytest.fixture
    @override
    async def blobs(self) -> MemoryBlobs:
        return MemoryBlobs(ManualClock())


class TestMemoryBatches(BatchSuite):
    @pytest.fixture
    @override
    async def stage(self) -> BatchStage:
        jobs = MemoryJobStore(ManualClock())
        return BatchStage(MemoryBatchStore(), MemoryBatchLines(jobs), jobs)


class TestTwoStepDeliveryOnMemory(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(self, clock: ManualClock) -> Stage:
        jobs, queue = MemoryJobStore(clock), MemoryQueue(clock)
        delivery = two_steps(jobs, queue, clock)
        return Stage(delivery, jobs, queue, MemoryAudit(jobs), clock)


class TestMemoryAnswerCache(AnswerCacheSuite):
    @pytest.fixture
    @override
    async def stage(self) -> CacheStage:
        clock = ManualClock()
        cache = MemoryAnswerCache(clock, max_bytes=ROOM)
        return CacheStage(cache, cache, clock)
