"""What is particular to documents in Firestore, over Google's own emulator."""

import asyncio
import math
import socket
from collections import Counter
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions

from headpond.adapters.documents.agenda import up_to
from headpond.adapters.documents.bodies import DocumentBodies
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.table import Change, Check, Delete, Key, Put, expires
from headpond.adapters.gcp import table as module
from headpond.adapters.gcp.places import Place
from headpond.adapters.gcp.table import FirestoreTable, open_table
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.job import Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.errors import SettingsError, Unavailable
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.clocks import ManualClock
from headpond.testing.records import RESPONSE, a_job, new_job
from tests.emulators.google_emulators import firestore_emulator

_prefixes = (f"table-{number}" for number in count())
A, B = Key("a", "1"), Key("b/|%", "x|/%")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop() -> None:  # pyright: ignore[reportUnusedFunction]
    """For all tests: gRPC's thread calls back into loops that are closed by then."""


@pytest.fixture(scope="module")
def firestore() -> Generator[str]:
    with firestore_emulator() as host:
        yield host


@pytest.fixture
async def table(firestore: str) -> AsyncIterator[FirestoreTable]:
    del firestore
    async with open_table(Place("test-project", next(_prefixes))) as table:
        yield table


def item(key: Key, **more: Any) -> dict[str, Any]:
    return {"pk": key.pk, "sk": key.sk, "version": 1, **more}


async def test_names_may_have_what_ids_may_not(table: FirestoreTable) -> None:
    await table.write(Put(item(B, agenda="open", at="5")))
    assert (await table.get(B) or {})["version"] == 1
    assert [found["sk"] for found in await table.under(B.pk)] == [B.sk]
    assert await up_to(table.look("agenda", "open"), None) == [Key(B.pk, B.sk, "5")]
    assert [found["pk"] for found in await table.everything(B.sk)] == [B.pk]
    await table.delete_many([B])
    assert await table.get(B) is None


async def test_an_index_is_left_and_entered_as_its_fields_go(table: FirestoreTable) -> None:
    await table.write(Put(item(A, agenda="open", at="5")))
    moved = Change(A, {"at": "7", "version": 2}, {"version": 1})
    assert not await table.write(moved)
    assert await up_to(table.look("agenda", "open"), None) == [Key(A.pk, A.sk, "7")]
    assert not await table.write(Change(A, {"agenda": None}, {"version": 2}))
    assert await up_to(table.look("agenda", "open"), None) == []
    assert "agenda" not in (await table.get(A) or {})


async def test_when_an_item_may_go_is_a_timestamp_and_goes_with_the_attribute(
    table: FirestoreTable,
) -> None:
    async def field() -> object:
        return (await table._document(A).get()).to_dict().get("expires")

    await table.write(Put(item(A, expires=expires(0.5))))
    assert await field() == datetime(1970, 1, 5, 0, 0, 1, tzinfo=UTC)
    assert not await table.write(Change(A, {"expires": expires(math.inf)}, {"version": 1}))
    assert await field() == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert not await table.write(Change(A, {"version": 2}, {"version": 1}))
    assert await field() is not None
    assert not await table.write(Change(A, {"expires": None}, {"version": 2}))
    assert await field() is None


async def test_all_conditions_that_fail_are_told_and_nothing_is_written(
    table: FirestoreTable,
) -> None:
    await table.write(Put(item(A)))
    change = Change(Key("none"), {"version": 9}, {"version": 1})
    put = Put(item(B))
    assert await table.write(put, change, Put(item(A), absent=True)) == {1, 2}
    assert await table.write(put, Put(item(A), absent=True)) == {1}
    check = Check(A, {"version": 7})
    assert await table.write(put, check, Put(item(A), absent=True)) == {1, 2}
    assert await table.get(B) is None


async def test_what_is_looked_at_is_not_written(table: FirestoreTable) -> None:
    await table.write(Put(item(A)))
    before = await table._document(A).get()
    change = Change(B, {"version": 2}, {"version": 1})
    await table.write(Put(item(B)))
    assert not await table.write(Check(A, {"version": 1}), change, Delete(Key("none")))
    assert (await table.get(B) or {})["version"] == 2
    assert (await table._document(A).get()).update_time == before.update_time


async def test_of_many_changes_at_once_each_is_made_once(table: FirestoreTable) -> None:
    await table.write(Put(item(A)))

    async def add_one() -> None:
        while True:
            version = int((await table.get(A) or {})["version"])
            if not await table.write(Change(A, {"version": version + 1}, {"version": version})):
                return

    await asyncio.gather(*(add_one() for _ in range(8)))
    assert (await table.get(A) or {})["version"] == 9


async def test_a_write_whose_answer_got_lost_knows_itself(
    table: FirestoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch: Any = _batch_of(table)
    commit = batch.commit

    async def lost(self: Any, **more: Any) -> None:
        await commit(self, **more)
        monkeypatch.setattr(batch, "commit", commit)
        raise exceptions.FailedPrecondition("as the SDK's second try would be told")

    monkeypatch.setattr(batch, "commit", lost)
    assert not await table.write(Put(item(A), absent=True))

    async def doubled(self: Any, **more: Any) -> None:
        await commit(self, **more)
        monkeypatch.setattr(batch, "commit", commit)
        raise exceptions.AlreadyExists("likewise")

    monkeypatch.setattr(batch, "commit", doubled)
    assert not await table.write(Put(item(B), absent=True))


async def test_who_meets_others_every_time_gives_up(
    table: FirestoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONFLICT_S", 0.0)

    async def refused(self: Any, **more: Any) -> None:
        del self, more
        raise exceptions.Aborted("too much contention")

    monkeypatch.setattr(_batch_of(table), "commit", refused)
    with pytest.raises(Unavailable, match="8 tries of a write met others"):
        await table.write(Put(item(A)))


async def test_who_is_known_no_longer_is_unavailable(
    table: FirestoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(self: Any, **more: Any) -> None:
        del self, more
        raise auth_exceptions.RefreshError("the key was revoked")

    monkeypatch.setattr(_batch_of(table), "commit", unknown)
    with pytest.raises(Unavailable, match="the key was revoked") as raised:
        await table.write(Put(item(A)))
    assert raised.value.code == "firestore_unavailable"


async def test_a_document_that_is_too_large_is_unavailable(table: FirestoreTable) -> None:
    with pytest.raises(Unavailable, match="Firestore does not answer: 400"):
        await table.write(Put(item(A, body=b"x" * 1_100_000)))


async def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    monkeypatch.setattr(module, "CALL_S", 0.2)
    monkeypatch.setattr(module, "RETRY", None)
    with pytest.raises(Unavailable) as raised:
        async with open_table(Place("test-project", "away")):
            pass
    assert raised.value.code == "firestore_unavailable"


async def test_nobody_has_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    with pytest.raises(SettingsError, match="Google Cloud does not know who this is"):
        async with open_table(Place("test-project", "nobody")):
            pass


async def test_a_database_that_is_not_there_is_told(
    table: FirestoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def absent(*_: object, **__: object) -> None:
        raise exceptions.NotFound("The database (default) does not exist")

    document: object = table._document(A)
    monkeypatch.setattr(type(document), "get", absent)
    with pytest.raises(SettingsError, match=r"The database .* does not exist"):
        await table.look_in()


async def test_a_job_costs_six_writes_and_seven_reads(
    table: FirestoreTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/backends.md reckons them. A question that finds nothing is a read, too."""
    clock, counts = ManualClock(), Counter[str]()
    jobs = DocumentJobStore(table, clock, DocumentBodies(table, clock))
    delivery = TwoStepDelivery(
        jobs,
        MemoryQueue(clock),
        clock=clock,
        new_ticket=lambda: Ticket("new"),
        lease_s=30,
        max_lost_leases=3,
    )
    some, found, get = table._some, table._found, table.get
    batch: Any = _batch_of(table)
    commit = batch.commit

    async def counted_some(documents: Any, transaction: Any) -> Any:
        counts["read"] += len(documents)
        return await some(documents, transaction)

    async def counted_found(query: Any) -> Any:
        answers = await found(query)
        counts["read"] += max(1, len(answers))
        return answers

    async def counted_get(key: Key) -> Any:
        counts["read"] += 1
        return await get(key)

    async def counted_commit(self: Any, **more: Any) -> None:
        counts["written"] += len(self._write_pbs)
        await commit(self, **more)

    monkeypatch.setattr(table, "_some", counted_some)
    monkeypatch.setattr(table, "_found", counted_found)
    monkeypatch.setattr(table, "get", counted_get)
    monkeypatch.setattr(batch, "commit", counted_commit)
    await delivery.submit(new_job(a_job()))
    (claim,) = await delivery.claim(lanes_of("default"), worker="w", limit=1)
    await delivery.renew([claim])
    done = claim.job.succeeded(clock.now(), engine="e", usage=Usage(1, 2))
    assert await delivery.settle(claim, Settlement(job=done, response=RESPONSE))
    await jobs.close()
    assert counts == {"written": 6, "read": 7}


def _batch_of(table: FirestoreTable) -> Any:
    """The SDK's class of a commit."""
    client: Any = table._client
    batch: object = client.batch()
    return type(batch)
