"""Ports that fail on demand: each wraps a port and is the port.

A fault strikes the n-th call, before its effect or after it: what a caller sees when its process
dies between two steps, or when an answer is lost on the way.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Literal, Protocol, TypeVar

from typing_extensions import override

from headpond.domain.batch import Batch, RunnerName
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, Reaction
from headpond.domain.file import BlobName, File, FileId
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.domain.lane import Lane
from headpond.domain.outcome import Settlement
from headpond.domain.pace import WorkerReport
from headpond.domain.quote import Backlog
from headpond.domain.retention import Rule
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.domain.webhook_event import Event, EventId
from headpond.ports.batches import BatchLines, BatchQuery, BatchStore
from headpond.ports.batches import Line as BatchLine
from headpond.ports.blobs import Blobs, BlobWriter
from headpond.ports.dead_letters import DeadLetters, DeadQuery
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.endpoints import EndpointStore
from headpond.ports.files import FileQuery, FileStore
from headpond.ports.jobs import Added, Bodies, Existing, JobQuery, JobStore, NewJob, OpenJobs, Try
from headpond.ports.outbox import DispatchQuery, Look, Outbox, Untold
from headpond.ports.queue import Depth, Lease, Message, MessageLookup, Queue
from headpond.ports.receiver import Receiver
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.streams import Entry, TokenStreams

T = TypeVar("T")

When = Literal["before", "after"]


class Line(Protocol):
    """What stands between a caller and a port."""

    async def through(self, call: Coroutine[object, object, T]) -> T:
        """Let the call through, or not. Its `__name__` is the verb."""
        ...


class Crash(BaseException):
    """The process dies here: nobody may catch it."""


class Faults(Line):
    """Shared by the wrappers of one test; calls are counted from the last `arm`, from 0."""

    def __init__(self) -> None:
        self.calls = 0
        self._strike: tuple[int, When, BaseException] | None = None

    def arm(
        self, call: int | None, when: When = "before", error: BaseException | None = None
    ) -> None:
        """Strike at that call, once; with None, only count."""
        self.calls = 0
        self._strike = None if call is None else (call, when, error or Crash())

    @property
    def struck(self) -> bool:
        """True once the armed fault has struck."""
        return self._strike is None

    @override
    async def through(self, call: Coroutine[object, object, T]) -> T:
        number = self.calls
        self.calls += 1
        if self._strike is None or self._strike[0] != number:
            return await call
        _, when, error = self._strike
        self._strike = None
        if when == "before":
            call.close()
        else:
            await call
        raise error


class FaultyJobStore(JobStore):
    """A job store behind faults."""

    def __init__(self, jobs: JobStore, line: Line) -> None:
        self._jobs = jobs
        self._line = line

    @override
    async def add(self, new: NewJob) -> Added | Existing:
        return await self._line.through(self._jobs.add(new))

    @override
    async def known(self, team: str, key: str) -> Existing | None:
        return await self._line.through(self._jobs.known(team, key))

    @override
    async def retried(self, again: Try) -> Existing | None:
        return await self._line.through(self._jobs.retried(again))

    @override
    async def get(self, job_id: JobId) -> Job | None:
        return await self._line.through(self._jobs.get(job_id))

    @override
    async def bodies(self, job_id: JobId) -> Bodies | None:
        return await self._line.through(self._jobs.bodies(job_id))

    @override
    async def swap(self, after: Job, response: bytes | None = None) -> bool:
        return await self._line.through(self._jobs.swap(after, response))

    @override
    async def erase(self, after: Job) -> bool:
        return await self._line.through(self._jobs.erase(after))

    @override
    async def find(self, query: JobQuery) -> list[Job]:
        return await self._line.through(self._jobs.find(query))

    @override
    async def due(self, *, now: float, accepted_before: float, limit: int) -> list[Job]:
        return await self._line.through(
            self._jobs.due(now=now, accepted_before=accepted_before, limit=limit)
        )

    @override
    async def wait_for_change(self, job_id: JobId, version: int, timeout_s: float) -> Job | None:
        return await self._line.through(self._jobs.wait_for_change(job_id, version, timeout_s))

    @override
    async def forget_keys(self, now: float, *, limit: int) -> int:
        return await self._line.through(self._jobs.forget_keys(now, limit=limit))


class FaultyQueue(Queue):
    """A queue behind faults."""

    def __init__(self, queue: Queue, line: Line) -> None:
        self._queue = queue
        self._line = line

    @override
    async def send(self, messages: Sequence[Message], *, delay_s: float = 0.0) -> None:
        await self._line.through(self._queue.send(messages, delay_s=delay_s))

    @override
    async def receive(
        self, lanes: Sequence[Lane], *, limit: int, lease_s: float, wait_s: float = 0.0
    ) -> list[Lease]:
        return await self._line.through(
            self._queue.receive(lanes, limit=limit, lease_s=lease_s, wait_s=wait_s)
        )

    @override
    async def extend(self, leases: Sequence[Lease], *, lease_s: float) -> list[Lease]:
        return await self._line.through(self._queue.extend(leases, lease_s=lease_s))

    @override
    async def ack(self, leases: Sequence[Lease]) -> None:
        await self._line.through(self._queue.ack(leases))

    @override
    async def drop(self, leases: Sequence[Lease]) -> None:
        await self._line.through(self._queue.drop(leases))

    @override
    async def give_back(self, leases: Sequence[Lease], *, delay_s: float = 0.0) -> None:
        await self._line.through(self._queue.give_back(leases, delay_s=delay_s))

    @override
    async def depth(self, lane: Lane) -> Depth:
        return await self._line.through(self._queue.depth(lane))

    @override
    async def backlog(self, lane: Lane) -> Mapping[str, Backlog]:
        return await self._line.through(self._queue.backlog(lane))


class FaultyOutbox(Outbox):
    """An outbox behind faults."""

    def __init__(self, outbox: Outbox, line: Line) -> None:
        self._outbox = outbox
        self._line = line

    @override
    async def publish(self, event: Event) -> None:
        await self._line.through(self._outbox.publish(event))

    @override
    async def look(self, now: float, *, limit: int, after: Destination | None = None) -> Look:
        return await self._line.through(self._outbox.look(now, limit=limit, after=after))

    @override
    async def lease(
        self, destination: Destination, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        return await self._line.through(
            self._outbox.lease(destination, now=now, limit=limit, lease_s=lease_s)
        )

    @override
    async def swap(self, after: Dispatch) -> bool:
        return await self._line.through(self._outbox.swap(after))

    @override
    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        return await self._line.through(self._outbox.get(endpoint, event_id))

    @override
    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        return await self._line.through(self._outbox.find(query))

    @override
    async def untold(self) -> Untold:
        return await self._line.through(self._outbox.untold())

    @override
    async def forget(self, ended_before: float, *, limit: int) -> int:
        return await self._line.through(self._outbox.forget(ended_before, limit=limit))


class FaultyEndpointStore(EndpointStore):
    """An endpoint store behind faults."""

    def __init__(self, endpoints: EndpointStore, line: Line) -> None:
        self._endpoints = endpoints
        self._line = line

    @override
    async def add(self, endpoint: Endpoint) -> bool:
        return await self._line.through(self._endpoints.add(endpoint))

    @override
    async def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        return await self._line.through(self._endpoints.get(endpoint_id))

    @override
    async def of_team(self, team: str) -> list[Endpoint]:
        return await self._line.through(self._endpoints.of_team(team))

    @override
    async def swap(self, after: Endpoint) -> bool:
        return await self._line.through(self._endpoints.swap(after))

    @override
    async def remove(self, endpoint_id: EndpointId) -> bool:
        return await self._line.through(self._endpoints.remove(endpoint_id))


class FaultyReceiver(Receiver):
    """A receiver behind faults: struck after the call, the event has arrived."""

    def __init__(self, receiver: Receiver, line: Line) -> None:
        self._receiver = receiver
        self._line = line

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        return await self._line.through(self._receiver.post(url, headers, body))

    @override
    async def close(self) -> None:
        await self._receiver.close()


class FaultyDelivery(Delivery):
    """A delivery behind faults, for one that takes each of its verbs in one step."""

    def __init__(self, delivery: Delivery, line: Line) -> None:
        self._delivery = delivery
        self._line = line

    @override
    async def submit(self, new: NewJob) -> Added | Existing:
        return await self._line.through(self._delivery.submit(new))

    @override
    async def claim(
        self, lanes: Sequence[Lane], *, worker: str, limit: int, wait_s: float = 0.0
    ) -> list[Claim]:
        return await self._line.through(
            self._delivery.claim(lanes, worker=worker, limit=limit, wait_s=wait_s)
        )

    @override
    async def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        return await self._line.through(self._delivery.renew(claims))

    @override
    async def settle(self, claim: Claim, settlement: Settlement) -> bool:
        return await self._line.through(self._delivery.settle(claim, settlement))

    @override
    async def reissue(self, job: Job) -> bool:
        return await self._line.through(self._delivery.reissue(job))

    @override
    async def redrive(self, job: Job, *, delay_s: float = 0.0) -> bool:
        return await self._line.through(self._delivery.redrive(job, delay_s=delay_s))


class FaultyTokenStreams(TokenStreams):
    """Streams behind faults."""

    def __init__(self, streams: TokenStreams, line: Line) -> None:
        self._streams = streams
        self._line = line

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        return await self._line.through(self._streams.begin(job_id, run))

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        return await self._line.through(self._streams.append(job_id, entry))

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        return await self._line.through(
            self._streams.read(job_id, after=after, limit=limit, wait_s=wait_s)
        )

    @override
    async def forget(self, ended_before: float) -> int:
        return await self._line.through(self._streams.forget(ended_before))


class FaultyRoster(Roster):
    """A roster behind faults."""

    def __init__(self, roster: Roster, line: Line) -> None:
        self._roster = roster
        self._line = line

    @override
    async def report(self, report: WorkerReport) -> None:
        await self._line.through(self._roster.report(report))

    @override
    async def reports(self, pool: str) -> list[WorkerReport]:
        return await self._line.through(self._roster.reports(pool))

    @override
    async def forget(self, before: float, *, keep: int) -> int:
        return await self._line.through(self._roster.forget(before, keep=keep))


class FaultyBatchStore(BatchStore):
    """A store of batches behind faults."""

    def __init__(self, batches: BatchStore, line: Line) -> None:
        self._batches = batches
        self._line = line

    @override
    async def add(self, batch: Batch) -> None:
        await self._line.through(self._batches.add(batch))

    @override
    async def get(self, batch_id: BatchId) -> Batch | None:
        return await self._line.through(self._batches.get(batch_id))

    @override
    async def swap(self, after: Batch) -> bool:
        return await self._line.through(self._batches.swap(after))

    @override
    async def find(self, query: BatchQuery) -> list[Batch]:
        return await self._line.through(self._batches.find(query))

    @override
    async def due(self, runner: RunnerName, now: float, limit: int) -> list[Batch]:
        return await self._line.through(self._batches.due(runner, now, limit))

    @override
    async def open_of(self, team: str) -> int:
        return await self._line.through(self._batches.open_of(team))

    @override
    async def reads(self, file_id: FileId) -> bool:
        return await self._line.through(self._batches.reads(file_id))


class FaultyBatchLines(BatchLines):
    """The jobs of batches behind faults."""

    def __init__(self, lines: BatchLines, line: Line) -> None:
        self._lines = lines
        self._line = line

    @override
    async def tally(self, batch_id: BatchId) -> Mapping[JobState, int]:
        return await self._line.through(self._lines.tally(batch_id))

    @override
    async def unended(self, batch_id: BatchId, limit: int) -> list[Job]:
        return await self._line.through(self._lines.unended(batch_id, limit))

    @override
    async def present(self, job_ids: Sequence[JobId]) -> list[BatchLine]:
        return await self._line.through(self._lines.present(job_ids))


class FaultyFileStore(FileStore):
    """Records of files behind faults."""

    def __init__(self, files: FileStore, line: Line) -> None:
        self._files = files
        self._line = line

    @override
    async def put(self, file: File) -> bool:
        return await self._line.through(self._files.put(file))

    @override
    async def get(self, file_id: FileId) -> File | None:
        return await self._line.through(self._files.get(file_id))

    @override
    async def find(self, query: FileQuery) -> list[File]:
        return await self._line.through(self._files.find(query))

    @override
    async def expired(self, now: float, limit: int) -> list[File]:
        return await self._line.through(self._files.expired(now, limit))

    @override
    async def remove(self, file_id: FileId) -> bool:
        return await self._line.through(self._files.remove(file_id))

    @override
    async def disown(self, blobs: list[BlobName]) -> list[BlobName]:
        return await self._line.through(self._files.disown(blobs))

    @override
    async def stored_bytes(self, team: str, now: float) -> int:
        return await self._line.through(self._files.stored_bytes(team, now))


class FaultyBlobs(Blobs):
    """Blobs behind faults: creating, writing and finishing one are a call each, as is a read."""

    def __init__(self, blobs: Blobs, line: Line) -> None:
        self._blobs = blobs
        self._line = line

    @override
    @asynccontextmanager
    async def create(self, name: BlobName) -> AsyncGenerator[BlobWriter]:
        async with self._blobs.create(name) as blob:
            await self._line.through(_create())
            yield _FaultyWriter(blob, self._line)
            await self._line.through(_create())
        await self._line.through(_create())

    @override
    async def read(self, name: BlobName, offset: int = 0) -> AsyncGenerator[bytes]:
        await self._line.through(_read())
        async with aclosing(self._blobs.read(name, offset)) as pieces:
            async for piece in pieces:
                yield piece

    @override
    async def delete(self, name: BlobName) -> None:
        await self._line.through(self._blobs.delete(name))

    @override
    async def written_before(self, when: float) -> list[BlobName]:
        return await self._line.through(self._blobs.written_before(when))


class _FaultyWriter(BlobWriter):
    def __init__(self, blob: BlobWriter, line: Line) -> None:
        self._blob = blob
        self._line = line

    @override
    async def write(self, data: bytes) -> None:
        await self._line.through(self._blob.write(data))


class FaultyDeadLetters(DeadLetters):
    """Dead letters behind faults: a read is one call."""

    def __init__(self, dead: DeadLetters, line: Line) -> None:
        self._dead = dead
        self._line = line

    @override
    async def read(self, query: DeadQuery) -> AsyncIterator[Job]:
        await self._line.through(_read())
        async for job in self._dead.read(query):
            yield job


class FaultyRetention(Retention):
    """Retention behind faults."""

    def __init__(self, retention: Retention, line: Line) -> None:
        self._retention = retention
        self._line = line

    @override
    async def erase_ended(self, rule: Rule, *, now: float, limit: int) -> int:
        return await self._line.through(self._retention.erase_ended(rule, now=now, limit=limit))


class FaultyOpenJobs(OpenJobs):
    """Open jobs behind faults."""

    def __init__(self, jobs: OpenJobs, line: Line) -> None:
        self._jobs = jobs
        self._line = line

    @override
    async def page(self, after: JobId | None, *, limit: int) -> list[Job]:
        return await self._line.through(self._jobs.page(after, limit=limit))


class FaultyMessageLookup(MessageLookup):
    """A look for messages behind faults."""

    def __init__(self, lookup: MessageLookup, line: Line) -> None:
        self._lookup = lookup
        self._line = line

    @override
    async def missing(self, messages: Sequence[Message]) -> list[Message]:
        return await self._line.through(self._lookup.missing(messages))


async def _create() -> None:
    """A call whose effect is elsewhere."""


async def _read() -> None:
    """A call whose answer comes in pieces."""
