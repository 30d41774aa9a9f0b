"""The store of documents keeps the contracts in the table of each service that has one.

DynamoDB is moto and Cosmos DB an emulator of ours, over HTTP; Firestore is Google's own, over gRPC.
"""

from collections import Counter
from collections.abc import AsyncIterator, Generator, Mapping
from itertools import count
from operator import attrgetter
from typing import Any

import pytest
from typing_extensions import override

from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.table import open_table as open_dynamodb
from headpond.adapters.azure.account import Place as AzurePlace
from headpond.adapters.azure.table import open_table as open_cosmos
from headpond.adapters.documents import dispatches, idempotency
from headpond.adapters.documents.agenda import up_to
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
from headpond.adapters.documents.records import agenda_of, key_of
from headpond.adapters.documents.retention import DocumentRetention
from headpond.adapters.documents.roster import DocumentRoster
from headpond.adapters.documents.scaling import DocumentScalingStore
from headpond.adapters.documents.streams import DocumentTokenStreams
from headpond.adapters.documents.table import (
    LEFT_S,
    SHARDS,
    SPARE_S,
    Change,
    Delete,
    Key,
    Put,
    Table,
    Write,
    at,
    raw,
    shard_of,
)
from headpond.adapters.documents.workload import DocumentWorkload
from headpond.adapters.gcp.places import Place as GooglePlace
from headpond.adapters.gcp.table import open_table as open_firestore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.dispatch import Dispatch, Reaction, Replied
from headpond.domain.job import Job, Ticket, Usage
from headpond.domain.public_address import AddressRule
from headpond.domain.webhook_endpoint import callbacks_of
from headpond.domain.webhook_event import job_event
from headpond.errors import TooLarge
from headpond.ports.audit import AuditQuery
from headpond.ports.jobs import Bodies, Existing, NewJob, Try
from headpond.ports.outbox import DispatchQuery, Untold
from headpond.ports.receiver import Receiver
from headpond.services.counted_queue import CountedQueue
from headpond.services.teller import Teller
from headpond.services.webhook_sender import WebhookSender
from headpond.services.webhooks import Webhooks
from headpond.settings import PoolSettings, WebhookSettings
from headpond.testing.batches_suite import BatchStage, BatchSuite
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import DeadLettersSuite, DeadStage, a_dead_job
from headpond.testing.delivery_suite import DeliverySuite, Stage
from headpond.testing.delivery_suite import two_steps as two_steps_on
from headpond.testing.files_suite import FileStoreSuite
from headpond.testing.jobs_suite import WINDOW_S, JobStoreSuite
from headpond.testing.keys_suite import KeyStoreSuite
from headpond.testing.open_jobs_suite import OpenJobsSuite, OpenStage
from headpond.testing.records import HOST, LONGEST, REQUEST, a_job, new_job
from headpond.testing.retention_suite import RetentionStage, RetentionSuite
from headpond.testing.roster_suite import RosterSuite
from headpond.testing.scaling_suite import ScalingStoreSuite, a_step
from headpond.testing.streams_suite import Stage as StreamStage
from headpond.testing.streams_suite import TokenStreamsSuite
from headpond.testing.unreadable_suite import UnreadableStage, UnreadableSuite
from headpond.testing.webhooks_suite import NOW, Stores, WebhookSuite
from headpond.testing.workload_suite import WorkloadStage, WorkloadSuite
from headpond.wiring.stores import two_steps
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.google_emulators import firestore_emulator
from tests.emulators.moto_server import Moto, moto_server
from tests.unit.services.pond import Ear

_prefixes = (f"documents-{number}" for number in count())

KEEP_S = 7 * 86_400.0
"""What is shown of webhooks and of scaling."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop() -> None:  # pyright: ignore[reportUnusedFunction]
    """For all tests: gRPC's thread calls back into loops that are closed by then."""


@pytest.fixture(scope="module")
def moto() -> Generator[Moto]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="module")
def firestore() -> Generator[str]:
    with firestore_emulator() as host:
        yield host


@pytest.fixture(
    params=[
        "dynamodb",
        # Its own table has tests of its own, and what lies above is that of the others.
        pytest.param("firestore", marks=pytest.mark.no_cover),
        "cosmos",
    ]
)
async def table(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[Table]:
    """Empty, of one service after the other."""
    if request.param == "firestore":
        request.getfixturevalue("firestore")
        async with open_firestore(GooglePlace("test-project", next(_prefixes))) as table:
            yield table
    elif request.param == "cosmos":
        async with (
            cosmos_server(Cosmos()) as cosmos,
            open_cosmos(AzurePlace(cosmos.url, "tests", next(_prefixes), KEY), clock) as table,
        ):
            yield table
    else:
        moto = request.getfixturevalue("moto")
        async with open_dynamodb(Place("eu-central-1", next(_prefixes), moto.url)) as table:
            yield table
        moto.forget_tables()


@pytest.fixture
def bodies(clock: ManualClock, table: Table) -> DocumentBodies:
    return DocumentBodies(table, clock)


@pytest.fixture
async def jobs(
    clock: ManualClock, table: Table, bodies: DocumentBodies
) -> AsyncIterator[DocumentJobStore]:
    store = DocumentJobStore(table, clock, bodies)
    yield store
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def stays_behind(table: Table, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """From now on the agenda has also what it has of this kind now, whatever becomes of it."""
    look, partitions = table.look, [agenda_of(kind, shard) for shard in range(SHARDS)]
    old = {name: await up_to(look("agenda", name), None) for name in partitions}

    async def lagging(
        index: str, partition: str, *, after: str = "", before: str = "", **how: Any
    ) -> AsyncIterator[Key]:
        keys = set(await up_to(look(index, partition, after=after, before=before, **how), None))
        keys |= {
            key for key in old.get(partition, ()) if after < key.sort < (before or "\U0010ffff")
        }
        for key in sorted(keys, key=attrgetter("sort")):
            yield key

    monkeypatch.setattr(table, "look", lagging)


@pytest.mark.parametrize("table", ["firestore", "cosmos"], indirect=True)
@pytest.mark.no_cover  # that of DynamoDB, with its own queue, covers what they share
class TestTwoStepDeliveryOnDocuments(DeliverySuite):
    @pytest.fixture
    @override
    async def stage(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, clock: ManualClock, table: Table, bodies: DocumentBodies, jobs: DocumentJobStore
    ) -> Stage:
        queue = MemoryQueue(clock)
        audit = DocumentAudit(table, bodies)
        return Stage(two_steps_on(jobs, queue, clock), jobs, queue, audit, clock)


class TestDocumentJobStore(JobStoreSuite):
    @pytest.fixture
    @override
    async def jobs(
        self, clock: ManualClock, table: Table, bodies: DocumentBodies
    ) -> AsyncIterator[DocumentJobStore]:  # pyright: ignore[reportIncompatibleMethodOverride]
        store = DocumentJobStore(table, clock, bodies)
        yield store
        await store.close()


class TestDocumentOpenJobs(OpenJobsSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DocumentJobStore) -> OpenStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return OpenStage(DocumentOpenJobs(table), jobs)

    async def test_an_index_that_lags_behind_does_not_end_the_look(
        self, stage: OpenStage, table: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        *ended, queued = (a_job().enqueued(1.0) for _ in range(6))
        await self.add(stage, *ended, queued)
        await stays_behind(table, monkeypatch, "open")
        for job in ended:
            assert await stage.jobs.swap(job.cancelled(2.0))
        assert await stage.open_jobs.page(None, limit=2) == [queued]
        assert await stage.open_jobs.page(queued.id, limit=2) == []

    async def test_a_look_at_all_reads_each_entry_of_the_index_about_once(
        self, stage: OpenStage, table: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deadlines = (9.0, None, 7.0, 8.0, None, 6.0, None, 5.0)
        jobs = [a_job(deadline=deadline).enqueued(1.0) for deadline in deadlines]
        await self.add(stage, *jobs)
        read, look = Counter[str](), table.look

        async def counted(
            index: str, partition: str, *, at_once: int | None = None, **how: Any
        ) -> AsyncIterator[Key]:
            kind = partition.partition("#")[0]
            assert kind == "deadline" or at_once == 1
            async for key in look(index, partition, at_once=at_once, **how):
                read[kind] += 1
                yield key

        monkeypatch.setattr(table, "look", counted)
        for _ in range(2):
            read.clear()
            found: list[Job] = []
            while page := await stage.open_jobs.page(found[-1].id if found else None, limit=3):
                found += page
            assert found == jobs
            assert read["deadline"] == 5


async def test_a_job_that_moves_while_lists_are_read_counts_once(
    table: Table, jobs: DocumentJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = a_job(deadline=1_000_060.0)
    await jobs.add(new_job(accepted))
    await stays_behind(table, monkeypatch, "accepted")
    queued = accepted.enqueued(1_000_001.0)
    assert await jobs.swap(queued)
    assert await jobs.due(now=1_000_060.0, accepted_before=0.0, limit=9) == [queued]
    (due,) = await DocumentWorkload(table).due(queued.pool)
    assert due.work.jobs == 1


def a_try(number: int, clock: ManualClock) -> Try:
    return Try("f", number, clock.now() + WINDOW_S)


async def test_a_try_that_is_over_counts_for_nothing_though_it_stays(
    table: Table, jobs: DocumentJobStore, clock: ManualClock
) -> None:
    await jobs.add(NewJob(a_job(), REQUEST, a_try(0, clock)))
    clock.advance(WINDOW_S)
    (left,) = await table.under("try#f")
    assert int(left["expires"]) > clock.now()
    assert await jobs.retried(a_try(1, clock)) is None
    clock.advance(LEFT_S - 1)
    assert await jobs.retried(a_try(2, clock)) is None
    assert await jobs.forget_keys(clock.now(), limit=9) == 0
    assert await table.under("try#f") == [left]
    clock.advance(1)
    assert await jobs.forget_keys(clock.now(), limit=9) == 1
    assert await table.under("try#f") == []


async def test_a_try_that_is_made_again_expires_later(
    table: Table, jobs: DocumentJobStore, clock: ManualClock
) -> None:
    job = a_job()
    await jobs.add(NewJob(job, REQUEST, a_try(0, clock)))
    clock.advance(WINDOW_S - 1)
    assert await jobs.retried(a_try(1, clock)) == Existing(job, "f")
    (item,) = await table.under("try#f")
    assert item["expires"] == clock.now() + WINDOW_S + SPARE_S


async def test_tries_of_an_older_release_go_and_what_it_moved_is_not_gone_before(
    table: Table, jobs: DocumentJobStore, clock: ManualClock
) -> None:
    await jobs.add(NewJob(a_job(), REQUEST, a_try(0, clock)))
    (item,) = await table.under("try#f")
    key = Key(str(item["pk"]), str(item["sk"]))
    moved = {"number": 1, "at": at(clock.now() + 2 * WINDOW_S, key.sk)}
    assert not await table.write(Change(key, moved, {"number": 0}))
    (item,) = await table.under("try#f")
    assert int(item["expires"]) > clock.now() + 2 * WINDOW_S
    assert not await table.write(Change(key, {"expires": None}, {"number": 1}))
    clock.advance(2 * WINDOW_S + LEFT_S)
    assert await jobs.forget_keys(clock.now(), limit=9) == 1


async def test_of_many_equal_tries_each_is_found_as_long_as_it_is_not_over(
    jobs: DocumentJobStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "AT_ONCE", 3)
    for _ in range(7):
        await jobs.add(NewJob(a_job(), REQUEST, a_try(0, clock)))
    clock.advance(WINDOW_S)
    made = [a_job() for _ in range(7)]
    for job in made:
        await jobs.add(NewJob(job, REQUEST, a_try(0, clock)))
    found = [await jobs.retried(a_try(1, clock)) for _ in range(8)]
    assert found == [*(Existing(job, "f") for job in reversed(made)), None]


async def test_a_dispatch_that_was_told_long_ago_counts_for_nothing_though_it_stays(
    table: Table, jobs: DocumentJobStore, clock: ManualClock
) -> None:
    outbox = DocumentOutbox(table, clock, KEEP_S)
    told = await a_told_dispatch(jobs, outbox, clock)
    key = dispatches.key_of(told.endpoint, told.event.id)
    clock.advance(KEEP_S - 1)
    assert await outbox.get(told.endpoint, told.event.id) == told
    assert await outbox.find(DispatchQuery(endpoint=told.endpoint)) == [told]
    clock.advance(1)
    left = await table.get(key)
    assert left is not None
    assert left["expires"] == clock.now() + SPARE_S
    assert await outbox.get(told.endpoint, told.event.id) is None
    assert await outbox.find(DispatchQuery(endpoint=told.endpoint)) == []
    clock.advance(LEFT_S)
    assert await outbox.forget(clock.now() - KEEP_S, limit=9) == 0
    assert await outbox.forget(clock.now() - KEEP_S + 1, limit=9) == 1
    assert await table.get(key) is None


async def test_a_dispatch_that_is_told_again_does_not_expire_before(
    table: Table, jobs: DocumentJobStore, clock: ManualClock
) -> None:
    outbox = DocumentOutbox(table, clock, KEEP_S)
    told = await a_told_dispatch(jobs, outbox, clock)
    again = told.redelivered(clock.now())
    assert await outbox.swap(again)
    assert "expires" not in (await table.get(dispatches.key_of(told.endpoint, told.event.id)) or {})
    clock.advance(KEEP_S + LEFT_S)
    assert await outbox.get(told.endpoint, told.event.id) == again
    assert await outbox.forget(clock.now(), limit=9) == 0


async def a_told_dispatch(
    jobs: DocumentJobStore, outbox: DocumentOutbox, clock: ManualClock
) -> Dispatch:
    """Of a job's callback."""
    await jobs.add(new_job(a_job(callback="https://a.example/hook").cancelled(clock.now())))
    (destination,) = (await outbox.look(clock.now(), limit=1)).due
    (leased,) = await outbox.lease(destination, now=clock.now(), limit=1, lease_s=1.0)
    told = leased.delivered(clock.now(), 200)
    assert await outbox.swap(told)
    return told


async def test_a_step_of_scaling_of_long_ago_counts_for_nothing_though_it_stays(
    table: Table, clock: ManualClock
) -> None:
    scaling, step = DocumentScalingStore(table, clock, KEEP_S), a_step(clock.now())
    await scaling.note(step)
    clock.advance(KEEP_S - 1)
    assert await scaling.steps("default", 9) == [step]
    clock.advance(1)
    (left,) = await table.under("steps#default")
    assert left["expires"] == clock.now() + SPARE_S
    assert await scaling.steps("default", 9) == []
    assert await scaling.forget(clock.now() - KEEP_S + LEFT_S) == 0
    assert await scaling.forget(clock.now() - KEEP_S + LEFT_S + 1) == 1
    assert await table.under("steps#default") == []


@pytest.mark.parametrize("later_s", [0.0, 60.0])
async def test_a_dead_job_that_ends_again_while_the_audit_log_is_read_is_told_of_once(
    table: Table,
    jobs: DocumentJobStore,
    bodies: DocumentBodies,
    monkeypatch: pytest.MonkeyPatch,
    later_s: float,
) -> None:
    dead, between = a_dead_job(1_000_001.0), a_job().cancelled(1_000_002.0)
    redriven = a_dead_job(1_000_003.0)
    for job in (dead, between, redriven):
        await jobs.add(new_job(job))
    await stays_behind(table, monkeypatch, "dead")
    again = dead.discarded(1_000_001.0 + later_s)
    assert await jobs.swap(again)
    assert await jobs.swap(redriven.redriven(Ticket("again")))
    read = [job async for job in DocumentAudit(table, bodies).jobs(AuditQuery())]
    assert sorted(read, key=attrgetter("id")) == [again, between]


async def test_a_range_that_ends_before_it_begins_holds_nothing_and_asks_nobody(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        await table.write(Put({"pk": "p", "sk": name, "agenda": "times", "at": name}))

    async def between(after: str, before: str) -> list[str]:
        return [
            key.sort
            for key in await up_to(table.look("agenda", "times", after=after, before=before), None)
        ]

    async def from_to(first: str, last: str) -> list[str]:
        return [str(item["sk"]) for item in await table.under("p", first=first, last=last)]

    assert (await between("a", "c"), await from_to("a", "c")) == (["b"], ["a", "b", "c"])
    assert await from_to("b", "b") == ["b"]
    assert (await from_to("b", ""), await from_to("", "b")) == (["b", "c"], ["a", "b"])
    for service in ("_service", "_container", "_items"):
        monkeypatch.setattr(table, service, None, raising=False)
    assert await between("c", "a") == await between("b", "b") == await from_to("c", "a") == []
    with pytest.raises(AttributeError):
        await between("a", "c")


async def test_an_audit_that_ends_before_it_begins_is_empty(
    table: Table, jobs: DocumentJobStore, bodies: DocumentBodies
) -> None:
    ended = a_job().cancelled(1_000_001.0)
    await jobs.add(new_job(ended))
    audit = DocumentAudit(table, bodies)

    async def read(since: float, until: float) -> list[Job]:
        return [job async for job in audit.jobs(AuditQuery(since=since, until=until))]

    assert await read(1_000_000.0, 1_000_002.0) == [ended]
    assert await read(1_000_002.0, 1_000_000.0) == []


class TestDocumentDeadLetters(DeadLettersSuite):
    many = 105  # a page has 100, and moto takes 30 ms for a record

    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DocumentJobStore) -> DeadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DeadStage(DocumentDeadLetters(table), jobs)


class TestDocumentRetention(RetentionSuite):
    @pytest.fixture
    @override
    async def stage(
        self, table: Table, jobs: DocumentJobStore, bodies: DocumentBodies
    ) -> RetentionStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        batches = DocumentBatchStore(table)
        retention = DocumentRetention(table, jobs, batches, DocumentBatchLines(table, bodies))
        return RetentionStage(retention, jobs, DocumentAudit(table, bodies), batches)


class TestDocumentKeyStore(KeyStoreSuite):
    @pytest.fixture
    @override
    async def keys(self, table: Table) -> DocumentKeyStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DocumentKeyStore(table)


class TestDocumentRoster(RosterSuite):
    @pytest.fixture
    @override
    async def roster(self, table: Table) -> DocumentRoster:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DocumentRoster(table)


class TestDocumentScalingStore(ScalingStoreSuite):
    @pytest.fixture
    @override
    async def scaling(self, table: Table, clock: ManualClock) -> DocumentScalingStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DocumentScalingStore(table, clock, KEEP_S)


class TestDocumentWorkload(WorkloadSuite):
    @pytest.fixture
    @override
    async def stage(
        self, table: Table, jobs: DocumentJobStore, clock: ManualClock
    ) -> WorkloadStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        workload = DocumentWorkload(table)
        queue = CountedQueue(MemoryQueue(clock), workload)
        return WorkloadStage(workload, jobs, queue, queue.close)


class TestDocumentWebhooks(WebhookSuite):
    @pytest.fixture
    @override
    async def stores(self, table: Table, jobs: DocumentJobStore, clock: ManualClock) -> Stores:  # pyright: ignore[reportIncompatibleMethodOverride]
        outbox = DocumentOutbox(table, clock, KEEP_S)
        return Stores(jobs, DocumentBatchStore(table), DocumentEndpointStore(table), outbox)


@pytest.mark.parametrize(
    ("table", "team", "host"),
    [
        ("dynamodb", "team", "a.example"),
        ("dynamodb", "\u968a" * 250, "a.example"),
        ("firestore", "\u968a" * 250, "a" * 400),
        ("firestore", "team", HOST),
        ("cosmos", "\u968a" * 256, "a.example"),
        ("cosmos", "team", HOST),
    ],
    indirect=["table"],
)
async def test_what_an_older_release_is_to_tell_is_told_and_delays_nobody(
    table: Table, jobs: DocumentJobStore, team: str, host: str
) -> None:
    ends = [
        a_job(team=who, callback=f"https://{host}/hook").cancelled(NOW)
        for who in ("another", team, "yet another")
    ]
    for job in ends:
        await jobs.add(new_job(job))
    endpoint, event = callbacks_of(team), job_event(ends[1]).id
    # In its words: the id of the endpoint and the origin, however long they are.
    when = f"{NOW:017.6f}#{NOW:017.6f}#{event}"
    place = {
        "agenda": f"dispatch#{shard_of(endpoint)}",
        "at": f"{endpoint}\x01https://{host}\x01{when}",
    }
    assert not await table.write(Change(dispatches.key_of(endpoint, event), place, {"version": 1}))

    outbox, told = DocumentOutbox(table, ManualClock(), KEEP_S), list[str]()
    look = await outbox.look(NOW, limit=1)
    due = [*look.due]
    while look.end is not None:
        look = await outbox.look(NOW, limit=1, after=look.end)
        due += look.due
    for destination in due:
        leased = await outbox.lease(destination, now=NOW, limit=9, lease_s=1.0)
        assert await outbox.lease(destination, now=NOW, limit=9, lease_s=1.0) == []
        for dispatch in leased:
            assert await outbox.swap(dispatch.delivered(NOW, 200))
            told.append(dispatch.event.id)
    assert sorted(told) == [job_event(job).id for job in ends]
    assert await outbox.untold() == Untold(0)


class Heard(Receiver):
    """Answers all with 200."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        self.urls.append(url)
        return Replied(200)

    @override
    async def close(self) -> None:
        return


@pytest.mark.parametrize("team", LONGEST)
async def test_callbacks_of_a_team_with_the_longest_name_are_sent(
    table: Table, jobs: DocumentJobStore, clock: ManualClock, team: str
) -> None:
    receiver, rule, url = Heard(), AddressRule(), "https://a.example/hook"
    outbox, endpoints = DocumentOutbox(table, clock, KEEP_S), DocumentEndpointStore(table)
    teller = Teller(receiver, rule, clock)
    sender = WebhookSender(
        outbox,
        endpoints,
        Webhooks(endpoints, outbox, teller, rule=rule, clock=clock),
        teller,
        settings=WebhookSettings(),
        clock=clock,
        listener=Ear(),
    )
    await jobs.add(new_job(a_job(team=team, callback=url).cancelled(clock.now())))
    assert await sender.tick() == 1
    await sender.idle()
    await sender.stop()
    assert receiver.urls == [url]
    assert await outbox.untold() == Untold(0)


class TestDocumentTokenStreams(TokenStreamsSuite):
    @pytest.fixture
    @override
    async def stage(self, table: Table, jobs: DocumentJobStore, clock: ManualClock) -> StreamStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return StreamStage(DocumentTokenStreams(table, clock), jobs)


class TestDocumentFileStore(FileStoreSuite):
    @pytest.fixture
    @override
    async def files(self, table: Table) -> DocumentFileStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DocumentFileStore(table)


class TestDocumentBatches(BatchSuite):
    @pytest.fixture
    @override
    async def stage(
        self, table: Table, jobs: DocumentJobStore, bodies: DocumentBodies
    ) -> BatchStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        return BatchStage(DocumentBatchStore(table), DocumentBatchLines(table, bodies), jobs)


class TestUnreadableDocuments(UnreadableSuite):
    @pytest.fixture
    @override
    async def stage(
        self, table: Table, jobs: DocumentJobStore, bodies: DocumentBodies, clock: ManualClock
    ) -> UnreadableStage:  # pyright: ignore[reportIncompatibleMethodOverride]
        batches, lines = DocumentBatchStore(table), DocumentBatchLines(table, bodies)
        queue = MemoryQueue(clock)

        async def damage(key: Key) -> None:
            item = await table.get(key)
            assert item is not None
            version = int(item["version"])
            to = {"record": b"{}", "version": version + 1}
            await table.write(Change(key, to, {"version": version}))

        return UnreadableStage(
            clock=clock,
            jobs=jobs,
            queue=queue,
            delivery=two_steps(jobs, queue, clock)(PoolSettings()),
            open_jobs=DocumentOpenJobs(table),
            dead=DocumentDeadLetters(table),
            retention=DocumentRetention(table, jobs, batches, lines),
            batches=batches,
            lines=lines,
            streams=DocumentTokenStreams(table, clock),
            damage=lambda job_id: damage(key_of(job_id)),
            damage_batch=lambda batch_id: damage(Key(f"batch#{batch_id}")),
        )


def a_body(size: int) -> bytes:
    """JSON of that length."""
    return b'{"a":"%s"}' % (b"x" * (size - 8))


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_body_of_which_there_is_never_room_is_refused_for_good(
    table: Table,
    jobs: DocumentJobStore,
    bodies: DocumentBodies,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = table.body_bytes
    if most is None:
        pytest.skip("it takes bodies of any length")
    job = a_job()
    with pytest.raises(TooLarge, match="The request has") as refused:
        await jobs.add(NewJob(job, a_body(most + 1)))
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")
    assert await jobs.get(job.id) is None
    fits = a_body(min(most, 3_000_000))  # the emulator of Firestore takes 4 MB
    running = job.claimed("w", 1_000_001.0)
    await jobs.add(NewJob(running, fits))
    done = running.succeeded(1_000_002.0, engine="e", usage=Usage(1, 2))
    with pytest.raises(TooLarge) as refused:
        await jobs.swap(done, a_body(most + 1))
    assert refused.value.code == "response_too_large"
    assert await jobs.get(job.id) == running
    assert await jobs.swap(done, fits)
    assert await jobs.bodies(job.id) == Bodies(fits, fits)
    sizes = {
        (item["pk"], item["sk"]): len(raw(item, "body"))
        for item in await table.under(f"job#{job.id}", sk="re")
    }
    write, removed = table.write, list[int]()

    async def measured(*writes: Write) -> frozenset[int]:
        keys = [each.key for each in writes if isinstance(each, Delete)]
        removed.append(sum(sizes.get((key.pk, key.sk), 0) for key in keys))
        return await write(*writes)

    monkeypatch.setattr(table, "write", measured)
    assert await jobs.erase(done.erased(1_000_003.0))
    assert await jobs.bodies(job.id) is None
    await bodies.remove(limit=9)
    assert len(await table.under(f"job#{job.id}")) == 1
    assert max(removed) <= most
    assert sum(removed) == 2 * len(fits)
