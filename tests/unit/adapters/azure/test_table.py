"""What is particular to documents in Cosmos DB, over an emulator of ours."""

import asyncio
import math
import random
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from msgspec.structs import replace

from headpond.adapters.azure import container as container_module
from headpond.adapters.azure import sweeping
from headpond.adapters.azure import table as module
from headpond.adapters.azure.account import POLICY, Place, open_container, place_of
from headpond.adapters.azure.container import Container, create
from headpond.adapters.azure.table import CosmosTable, open_table
from headpond.adapters.documents.agenda import up_to
from headpond.adapters.documents.batches import DocumentBatchStore
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.keys import DocumentKeyStore
from headpond.adapters.documents.table import (
    LEFT_S,
    SPARE_S,
    Change,
    Check,
    Delete,
    Key,
    Put,
    expires,
)
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.batch import RunnerName
from headpond.domain.job import Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.errors import SettingsError, Unavailable
from headpond.ports.jobs import Existing, Idempotency, NewJob, Try
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.batches_suite import a_batch
from headpond.testing.clocks import ManualClock
from headpond.testing.keys_suite import a_key
from headpond.testing.records import RESPONSE, a_job, new_job
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server

A, B = Key("a", "1"), Key('b/?#|"\\', "x ~/?#\\%é")


@pytest.fixture
async def cosmos() -> AsyncIterator[Cosmos]:
    async with cosmos_server(Cosmos()) as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def table(cosmos: Cosmos, clock: ManualClock) -> AsyncIterator[CosmosTable]:
    """Without the sweep, so that calls can be counted."""
    async with open_container(place(cosmos)) as proxy:
        yield CosmosTable(Container(proxy, clock))


def place(cosmos: Cosmos, **more: Any) -> Place:
    return Place(**{"endpoint": cosmos.url, "database": "d", "container": "c", "key": KEY} | more)


def item(key: Key, **more: Any) -> dict[str, Any]:
    return {"pk": key.pk, "sk": key.sk, "version": 1, **more}


async def test_what_expires_is_gone_by_then_however_often_it_was_written(
    cosmos: Cosmos, table: CosmosTable, clock: ManualClock
) -> None:
    def passes(seconds: float) -> None:
        clock.advance(seconds)
        cosmos.ahead_s += seconds

    end = clock.now() + 100
    await table.write(Put(item(A, expires=expires(end), agenda="open", at="1")))
    await table.write(Put(item(B, expires=expires(end))))
    passes(60)
    assert not await table.write(Change(A, {"version": 2}, {"version": 1}))
    assert not await table.write(Change(B, {"expires": None}, {"version": 1}))
    passes(SPARE_S + 30)
    assert (await table.get(A) or {})["version"] == 2
    passes(20)
    assert await table.get(A) is None
    assert await up_to(table.look("agenda", "open"), None) == []
    assert await table.write(Change(A, {"version": 3}, {"version": 2})) == {0}
    assert await table.get(B) == item(B)


@pytest.mark.parametrize(("left_s", "ttl"), [(-1e6, 1), (1 - SPARE_S, 1), (math.inf, 2**31 - 1)])
async def test_a_time_to_live_is_one_that_the_service_takes(
    left_s: float, ttl: int, cosmos: Cosmos, table: CosmosTable, clock: ManualClock
) -> None:
    await table.write(Put(item(A, expires=expires(clock.now() + left_s))))
    assert [document["ttl"] for document in cosmos.documents()] == [ttl]


async def test_a_try_vanishes_by_itself(
    cosmos: Cosmos, table: CosmosTable, clock: ManualClock
) -> None:
    jobs = DocumentJobStore(table, clock, DocumentBodies(table, clock))
    job = a_job()
    await jobs.add(NewJob(job, b"{}", Try("f", 0, clock.now() + 60)))
    assert await jobs.retried(Try("f", 1, clock.now() + 90)) == Existing(job, "f")
    clock.advance(90 + SPARE_S)
    cosmos.ahead_s += 89 + SPARE_S
    assert await jobs.retried(Try("f", 2, clock.now() + 60)) is None
    assert len(await table.under("try#f")) == 1
    cosmos.ahead_s += 2
    assert await table.under("try#f") == []
    assert await jobs.forget_keys(clock.now() + LEFT_S, limit=9) == 0
    assert await jobs.get(job.id) == job
    await jobs.close()


async def test_names_may_have_what_ids_may_not(table: CosmosTable) -> None:
    await table.write(Put(item(B, agenda="open", at="5", body=b"\0\xff")))
    assert await table.get(B) == item(B, agenda="open", at="5", body=b"\0\xff")
    assert [found["sk"] for found in await table.under(B.pk)] == [B.sk]
    assert await up_to(table.look("agenda", "open"), None) == [Key(B.pk, B.sk, "5")]
    assert [found["pk"] for found in await table.everything(B.sk)] == [B.pk]
    assert not await table.write(Change(B, {"version": 2}, {"version": 1, "body": b"\0\xff"}))
    await table.delete_many([B, B])
    assert await table.get(B) is None


async def test_what_is_asked_for_is_read_page_by_page(cosmos: Cosmos, table: CosmosTable) -> None:
    for number in range(7):
        key = Key(f"p{number}", "1")
        await table.write(Put(item(key, family="all", name=f"{number}")))
    cosmos.calls.clear()
    some = table.look("family", "all", after="0", at_once=1)
    assert [key.sort for key in await up_to(some, 2)] == ["1", "2"]
    assert cosmos.calls["query"] <= 5, "two partitions, a document each at a time"
    names = [key.sort async for key in table.look("family", "all", before="5", reverse=True)]
    assert names == ["4", "3", "2", "1", "0"]
    assert await up_to(table.look("family", "all", begins="3"), None) == [Key("p3", "1", "3")]
    assert await up_to(table.look("family", "all", after="6"), None) == []


async def test_many_are_got_in_pieces(cosmos: Cosmos, table: CosmosTable) -> None:
    keys = [Key(f"p{number}", "1") for number in range(120)]
    await asyncio.gather(*(table.write(Put(item(key))) for key in keys[:110]))
    cosmos.calls.clear()
    assert len(await table.get_many(keys)) == 110
    assert cosmos.calls == {"query": 2}, "a hundred places, and twenty"


async def test_a_check_holds_until_the_write(table: CosmosTable) -> None:
    await table.write(Put(item(A)), Put(item(Key("a", "2"))))
    change = Change(Key("a", "2"), {"version": 2}, {"version": 1})
    assert not await table.write(Check(A, {"version": 1}), change, Delete(Key("none")))
    assert await table.write(Check(A, {"version": 2}), change) == {0, 1}
    assert await table.get(A) == item(A)


async def test_a_write_whose_answer_got_lost_knows_itself(
    cosmos: Cosmos, table: CosmosTable
) -> None:
    cosmos.lose_answers = 1
    assert not await table.write(Put(item(A), absent=True))
    cosmos.lose_answers = 1
    assert not await table.write(Change(A, {"version": 2}, {"version": 1}))
    cosmos.lose_answers = 1
    assert not await table.write(Delete(A))
    assert await table.get(A) is None


async def test_whose_answer_got_lost_writes_nothing_over_those_who_came_after(
    cosmos: Cosmos, table: CosmosTable
) -> None:
    keys, batches = DocumentKeyStore(table), DocumentBatchStore(table)
    key, batch = a_key(1), a_batch()
    taken = batch.took(RunnerName("runner"), 9e9)

    async def revoked() -> None:
        assert await keys.revoke(key.id, 5.0)

    cosmos.lose_answers, cosmos.meanwhile = 1, revoked
    await keys.add(key)
    assert [each.revoked_at for each in await keys.all()] == [5.0]

    async def claimed() -> None:
        assert await batches.swap(taken)

    cosmos.lose_answers, cosmos.meanwhile = 1, claimed
    await batches.add(batch)
    assert await batches.get(batch.id) == taken


async def test_a_service_with_too_much_to_do_is_asked_again(
    cosmos: Cosmos, table: CosmosTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "BUSY_S", 0.001)
    cosmos.throttle = 3
    assert not await table.write(Put(item(A), absent=True))
    cosmos.throttle_within = 3
    assert not await table.write(Change(A, {"version": 2}, {"version": 1}))
    cosmos.throttle = 1000
    with pytest.raises(Unavailable, match="429") as raised:
        await table.get(A)
    assert raised.value.code == "cosmos_unavailable"
    with pytest.raises(Unavailable, match="429"):
        await table.under("a")
    cosmos.throttle, cosmos.throttle_within = 0, 1000
    with pytest.raises(Unavailable, match="429"):
        await table.write(Put(item(A)))


async def test_a_batch_that_met_others_is_sent_again(
    cosmos: Cosmos, table: CosmosTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "BUSY_S", 0.001)
    cosmos.throttled_with, cosmos.throttle = 449, 3
    assert not await table.write(Put(item(A), absent=True))
    cosmos.throttle = 1000
    with pytest.raises(Unavailable, match="449"):
        await table.write(Put(item(A)))


async def test_a_container_that_is_gone_is_not_an_empty_one(
    cosmos: Cosmos, table: CosmosTable
) -> None:
    await table.write(Put(item(A)))
    cosmos.forget()
    for call in (table.get(A), table.write(Put(item(A))), table.under("a"), table.everything("1")):
        with pytest.raises(Unavailable, match="Owner resource does not exist"):
            await call


async def test_who_meets_others_every_time_gives_up(
    table: CosmosTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    await table.write(Put(item(A)))
    real = table._transactions.documents

    async def stale(keys: Any) -> Any:
        found = await real(keys)
        return {key: replace(document, etag="old") for key, document in found.items()}

    monkeypatch.setattr(table._transactions, "documents", stale)
    with pytest.raises(Unavailable, match="10 tries of a write met others"):
        await table.write(Change(A, {"version": 2}, {"version": 1}))


async def test_a_document_that_is_too_large_is_unavailable(table: CosmosTable) -> None:
    body = random.randbytes(780_000)
    assert not await table.write(Put(item(A, body=body[:700_000])))
    with pytest.warns(ResourceWarning), pytest.raises(Unavailable, match="413"):
        await table.write(Put(item(B, body=body * 3)))


async def test_a_process_sweeps_for_as_long_as_it_lives(
    cosmos: Cosmos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "EVERY_S", 0.0)
    async with open_table(place(cosmos), ManualClock()), open_container(place(cosmos)) as proxy:
        await until(lambda: cosmos.calls["query"] > 5)
        cosmos.throttle = 15
        await until(lambda: cosmos.throttle == 0)
        swept = cosmos.calls["query"]
        await until(lambda: cosmos.calls["query"] > swept)
        await Container(proxy, ManualClock()).write(
            "a", [create({"id": "of nobody", "pk": "a", "open": "x"})]
        )
        swept = cosmos.calls["query"]
        await until(lambda: cosmos.calls["query"] > swept + 5)


async def test_a_container_is_made_once_with_what_is_asked_of_it(cosmos: Cosmos) -> None:
    async with (
        open_table(place(cosmos), ManualClock()) as first,
        open_table(place(cosmos), ManualClock()) as second,
    ):
        await first.write(Put(item(A)))
        assert await second.get(A) == item(A)
    client: Any = CosmosClient(cosmos.url, KEY)
    async with client:
        made = await client.get_database_client("d").get_container_client("c").read()
    assert made["partitionKey"]["paths"] == ["/pk"]
    assert made["indexingPolicy"] == POLICY
    assert made["defaultTtl"] == -1


async def test_processes_that_begin_together_make_one_container(cosmos: Cosmos) -> None:
    async def begin() -> None:
        async with open_container(place(cosmos)):
            pass

    await asyncio.gather(*(begin() for _ in range(8)))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"partition_key": PartitionKey(path="/id"), "default_ttl": -1}, r"partitioned by \['/id"),
        ({"partition_key": PartitionKey(path="/pk")}, "has a TTL of None, not of -1"),
        ({"partition_key": PartitionKey(path="/pk"), "default_ttl": 3600}, "has a TTL of 3600"),
        (
            {"partition_key": PartitionKey(path="/pk", version=1), "default_ttl": -1},
            "knows 101 bytes of a partition key",
        ),
        (
            {
                "partition_key": PartitionKey(path="/pk"),
                "default_ttl": -1,
                "indexing_policy": {**POLICY, "indexingMode": "none"},
            },
            "has an index that is none",
        ),
        (
            {
                "partition_key": PartitionKey(path="/pk"),
                "default_ttl": -1,
                "indexing_policy": {**POLICY, "includedPaths": POLICY["includedPaths"][1:]},
            },
            "does not index /place/",
        ),
    ],
)
async def test_a_container_of_another_form_is_refused(
    options: dict[str, Any], complaint: str, cosmos: Cosmos
) -> None:
    client: Any = CosmosClient(cosmos.url, KEY)
    async with client:
        database = await client.create_database("d")
        await database.create_container("c", **{"indexing_policy": POLICY} | options)
    with pytest.raises(SettingsError, match=complaint):
        async with open_table(place(cosmos), ManualClock()):
            pass


@pytest.mark.parametrize(
    ("consistency", "regions", "enough"),
    [
        ("Strong", 2, True),
        ("BoundedStaleness", 1, True),
        ("BoundedStaleness", 2, False),
        ("Session", 1, False),
        ("Eventual", 1, False),
        (None, 1, False),
    ],
)
async def test_an_account_that_may_show_old_records_is_refused(
    consistency: str | None, regions: int, enough: bool
) -> None:
    async with cosmos_server(Cosmos(consistency=consistency, regions=regions)) as cosmos:
        if enough:
            async with open_table(place(cosmos), ManualClock()) as table:
                assert await table.get(A) is None
        else:
            with pytest.raises(SettingsError, match=rf"consistency is {consistency}.*Strong"):
                async with open_table(place(cosmos), ManualClock()):
                    pass


async def test_a_wrong_key_has_no_store(cosmos: Cosmos) -> None:
    with pytest.raises(SettingsError, match=r"does not let us in.*401"):
        async with open_table(place(cosmos, key="d3Jvbmc="), ManualClock()):
            pass


@pytest.mark.parametrize("status", [429, 449])
async def test_a_service_with_too_much_to_do_at_the_start_is_unavailable(
    status: int, cosmos: Cosmos
) -> None:
    cosmos.throttled_with, cosmos.throttle = status, 1000
    with pytest.raises(Unavailable, match=str(status)):
        async with open_table(place(cosmos), ManualClock()):
            pass


def test_an_error_that_says_nothing_is_named() -> None:
    assert (
        str(container_module.away(ServiceRequestError("")))
        == "Cosmos DB does not answer: ServiceRequestError."
    )


async def test_nobody_has_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    with pytest.raises(SettingsError, match="does not let us in"):
        async with open_table(Place("https://127.0.0.1:9/", "d", "c"), ManualClock()):
            pass


async def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable) as raised:
        async with open_table(Place(f"http://127.0.0.1:{port}/", "d", "c", KEY), ManualClock()):
            pass
    assert raised.value.code == "cosmos_unavailable"


def test_a_url_names_an_account_a_database_a_container_and_maybe_a_key() -> None:
    assert place_of("cosmos://mine/headpond/store") == Place(
        "https://mine.documents.azure.com:443/", "headpond", "store"
    )
    assert place_of("cosmos://mine/d/c?key=a+b/c==&endpoint=http://here:1/") == Place(
        "http://here:1/", "d", "c", "a+b/c=="
    )
    for wrong in ("cosmos://mine/d", "cosmos:///d/c", "cosmos://mine/d/c?other=1"):
        with pytest.raises(ValueError, match="cosmos://ACCOUNT/DATABASE/CONTAINER"):
            place_of(wrong)


@pytest.mark.parametrize(
    ("idempotency", "calls"),
    [
        (None, {"read": 5, "query": 2, "batch": 4}),
        (Idempotency("key", "print", 9e9), {"read": 5, "query": 2, "batch": 7}),
    ],
)
async def test_a_job_costs_four_writes_and_seven_with_a_key(
    idempotency: Idempotency | None, calls: dict[str, int], cosmos: Cosmos, table: CosmosTable
) -> None:
    """As docs/backends.md reckons them."""
    clock = ManualClock()
    jobs = DocumentJobStore(table, clock, DocumentBodies(table, clock))
    delivery = TwoStepDelivery(
        jobs,
        MemoryQueue(clock),
        clock=clock,
        new_ticket=lambda: Ticket("new"),
        lease_s=30,
        max_lost_leases=3,
    )
    cosmos.calls.clear()
    new = new_job(a_job())
    await delivery.submit(NewJob(new.job, new.request, idempotency))
    (claim,) = await delivery.claim(lanes_of("default"), worker="w", limit=1)
    await delivery.renew([claim])
    done = claim.job.succeeded(clock.now(), engine="e", usage=Usage(1, 2))
    assert await delivery.settle(claim, Settlement(job=done, response=RESPONSE))
    await jobs.close()
    assert cosmos.calls == calls


async def until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110 - the emulator does not know that somebody waits
        await asyncio.sleep(0)
