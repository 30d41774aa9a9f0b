"""Changes across partitions of Cosmos DB are made all or none, whoever dies or comes back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from typing_extensions import override

from headpond.adapters.azure import table as table_module
from headpond.adapters.azure import transactions
from headpond.adapters.azure.container import Container, Operation
from headpond.adapters.azure.sweeping import Sweep
from headpond.adapters.azure.table import CosmosTable
from headpond.adapters.azure.transactions import NOTE, NOTE_EXPIRES_S
from headpond.adapters.documents.table import Change, Check, Delete, Item, Key, Put, Write
from headpond.errors import Unavailable
from headpond.testing.clocks import ManualClock
from tests.emulators.cosmos_server import Cosmos, cosmos_server
from tests.unit.adapters.azure.clients import Died, Watched, a_container, dies_at

HOME, OTHER, GONE, NEW, SEEN = (Key(name, "1") for name in ("home", "other", "gone", "new", "seen"))


@pytest.fixture
async def cosmos() -> AsyncIterator[Cosmos]:
    async with cosmos_server(Cosmos()) as server:
        yield server


@pytest.fixture
async def proxy(cosmos: Cosmos) -> AsyncIterator[Any]:
    async with a_container(cosmos) as proxy:
        yield proxy


@pytest.fixture
async def table(proxy: Any) -> CosmosTable:
    return CosmosTable(Container(proxy, ManualClock()))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "PATIENCE_S", 0.0)


def item(key: Key, **more: Any) -> Item:
    return {"pk": key.pk, "sk": key.sk, "version": 1, **more}


def across() -> list[Write]:
    """One of each kind, each in a partition of its own."""
    return [
        Change(HOME, {"version": 2}, {"version": 1}),
        Change(OTHER, {"version": 2, "at": "2"}, {"version": 1}),
        Delete(GONE),
        Put(item(NEW, agenda="open", at="1"), absent=True),
        Check(SEEN, {"version": 1}),
    ]


async def prepare(table: CosmosTable) -> None:
    for key in (HOME, GONE, SEEN):
        await table.write(Put(item(key)))
    await table.write(Put(item(OTHER, agenda="open", at="9")))


async def seen(table: CosmosTable) -> list[int]:
    """The versions of all that is there, 0 of what is not."""
    found = [await table.get(key) for key in (HOME, OTHER, GONE, NEW, SEEN)]
    return [0 if each is None else int(each["version"]) for each in found]


BEFORE, AFTER = [1, 1, 1, 0, 1], [2, 2, 0, 1, 1]


async def sweep(proxy: Any) -> None:
    """What was left stands twice."""
    sweeping = Sweep(Container(proxy, ManualClock()))
    await sweeping.tick()
    await sweeping.tick()


def open_ends(cosmos: Cosmos) -> list[Any]:
    return [document for document in cosmos.documents() if "open" in document]


def notes(cosmos: Cosmos) -> list[Any]:
    return [document for document in cosmos.documents() if document["id"].startswith(NOTE)]


async def test_all_is_written_and_nothing_stays(cosmos: Cosmos, table: CosmosTable) -> None:
    await prepare(table)
    assert await table.write(*across()) == frozenset()
    assert await seen(table) == AFTER
    assert [document["pk"] for document in cosmos.documents()] == ["home", "seen", "other", "new"]
    assert not open_ends(cosmos)


@pytest.mark.parametrize("number", range(5))
async def test_nothing_is_written_where_one_condition_fails(
    number: int, cosmos: Cosmos, table: CosmosTable
) -> None:
    await prepare(table)
    writes = across()
    key = (HOME, OTHER, GONE, NEW, SEEN)[number]
    await table.write(Put(item(key) | {"version": 5}))
    standing = await seen(table)
    failed = await table.write(*writes)
    if key == GONE:  # there is no condition to it
        assert not failed
    else:
        assert failed == {number}
        assert await seen(table) == standing
    assert not open_ends(cosmos)
    assert not notes(cosmos), "a write that was refused before its commit needs none"


async def test_an_item_is_written_once_in_a_write(table: CosmosTable) -> None:
    with pytest.raises(AssertionError):
        await table.write(Put(item(HOME)), Check(HOME, {"version": 1}))


MOMENTS = 2 * (4 + 1 + 4 + 1)
"""Before and after each write: intents, the commit, the rest, the note's end."""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", range(MOMENTS))
async def test_whoever_dies_at_any_moment_leaves_all_or_nothing(
    moment: int, cosmos: Cosmos, table: CosmosTable, proxy: Any
) -> None:
    await prepare(table)
    with pytest.raises(Died):
        await CosmosTable(Watched(proxy, dies_at(moment))).write(*across())
    committed = bool(notes(cosmos))
    found = await seen(table)
    assert found in (BEFORE, AFTER)
    assert found == AFTER or not committed
    again = await table.write(*across())
    assert not again if found == BEFORE else again
    assert await seen(table) == AFTER
    await sweep(proxy)
    assert not open_ends(cosmos)
    cosmos.ahead_s = NOTE_EXPIRES_S + 1
    assert {document["pk"] for document in cosmos.documents()} == {"home", "seen", "other", "new"}


@pytest.mark.parametrize("moment", range(MOMENTS))
async def test_what_nobody_meets_is_swept(moment: int, cosmos: Cosmos, proxy: Any) -> None:
    table = CosmosTable(Container(proxy, ManualClock()))
    await prepare(table)
    with pytest.raises(Died):
        await CosmosTable(Watched(proxy, dies_at(moment))).write(*across())
    left = open_ends(cosmos)
    await Sweep(Container(proxy, ManualClock())).tick()
    assert open_ends(cosmos) == left, "it may be alive"
    await sweep(proxy)
    assert not open_ends(cosmos)
    assert await seen(table) in (BEFORE, AFTER)


class Sick(Container):
    """Nothing can be written where it was written first."""

    sick: str | None = None

    @override
    async def write(self, pk: str, operations: Sequence[Operation]) -> list[str]:
        self.sick = self.sick or pk
        if pk == self.sick:
            raise Unavailable("it is sick", code="cosmos_unavailable")
        return await super().write(pk, operations)


async def test_a_transaction_that_cannot_be_ended_leaves_the_others_to_the_sweep(
    cosmos: Cosmos, proxy: Any
) -> None:
    homes = {f"home{number}" for number in range(4)}
    for home in homes:
        intents = 2
        with pytest.raises(Died):
            await CosmosTable(Watched(proxy, dies_at(intents))).write(
                Put(item(Key(home, "1"))), Put(item(Key(f"other of {home}", "1")))
            )
    container = Sick(proxy, ManualClock())
    sweeping = Sweep(container)
    await sweeping.tick()
    await sweeping.tick()
    assert [each["intent"]["home"] for each in open_ends(cosmos)] == [container.sick]
    container.sick = "nobody"
    await sweeping.tick()
    assert not open_ends(cosmos)


async def test_the_agenda_leads_to_what_its_owner_could_not_finish(
    cosmos: Cosmos, table: CosmosTable, proxy: Any
) -> None:
    await prepare(table)
    intents_and_commit = 2 * (4 + 1)
    with pytest.raises(Died):
        await CosmosTable(Watched(proxy, dies_at(intents_and_commit))).write(*across())
    assert "item" not in next(each for each in cosmos.documents() if each["pk"] == "new")
    assert [key.pk async for key in table.look("agenda", "open")] == ["new", "other"]
    assert not [each for each in open_ends(cosmos) if "intent" in each]


async def test_the_agenda_has_nothing_that_was_never_committed(
    table: CosmosTable, proxy: Any
) -> None:
    await prepare(table)
    intents = 2 * 4
    with pytest.raises(Died):
        await CosmosTable(Watched(proxy, dies_at(intents))).write(*across())
    assert [key.pk async for key in table.look("agenda", "open")] == ["other"]
    assert await table.get(NEW) is None
    assert await table.get_many([NEW, OTHER]) == {"other": item(OTHER, agenda="open", at="9")}
    assert await table.under("new") == []


@pytest.mark.usefixtures("impatient")
async def test_a_slow_owner_that_was_aborted_changes_nothing(
    cosmos: Cosmos, table: CosmosTable, proxy: Any
) -> None:
    await prepare(table)
    reached, go_on = asyncio.Event(), asyncio.Event()
    writes = 0

    async def waits_before_the_commit(name: str) -> None:
        nonlocal writes
        writes += name == "write"
        if writes == 5 and not reached.is_set():
            reached.set()
            await go_on.wait()

    owner = asyncio.create_task(
        CosmosTable(Watched(proxy, waits_before_the_commit)).write(*across())
    )
    await reached.wait()
    assert await seen(table) == BEFORE
    assert not await table.write(Change(OTHER, {"version": 7}, {"version": 1}))
    go_on.set()
    assert await owner == {1}
    assert await seen(table) == [1, 7, 1, 0, 1]
    assert not open_ends(cosmos)


async def test_an_owner_does_not_commit_after_too_long(
    cosmos: Cosmos, table: CosmosTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(table)
    monkeypatch.setattr(transactions, "COMMIT_WITHIN_S", -1.0)
    monkeypatch.setattr(table_module, "PAUSE_S", 0.0)
    with pytest.raises(Unavailable, match="10 tries of a write met others"):
        await table.write(*across())
    assert await seen(table) == BEFORE
    assert not open_ends(cosmos)
    assert not notes(cosmos)


@pytest.mark.parametrize("lost", range(10))
async def test_a_write_whose_answer_got_lost_knows_itself(
    lost: int, cosmos: Cosmos, table: CosmosTable, proxy: Any
) -> None:
    await prepare(table)
    calls = 0

    async def loses_one(name: str) -> None:
        nonlocal calls
        if name == "write":
            cosmos.lose_answers = int(calls == lost)
            calls += 1

    assert not await CosmosTable(Watched(proxy, loses_one)).write(*across())
    assert await seen(table) == AFTER
    await sweep(proxy)
    assert not open_ends(cosmos)


async def test_a_commit_whose_answers_are_all_lost_is_a_commit(
    cosmos: Cosmos, table: CosmosTable, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(table)
    calls = 0

    async def loses_the_commit(name: str) -> None:
        nonlocal calls
        if name == "write":
            calls += 1
            cosmos.lose_answers = 100 if calls == 5 else 0

    monkeypatch.setattr(asyncio, "sleep", _at_once(asyncio.sleep))
    assert not await CosmosTable(Watched(proxy, loses_the_commit)).write(*across())
    assert await seen(table) == AFTER


async def test_an_owner_that_did_not_hear_of_its_commit_learns_of_it_though_others_ended_it(
    cosmos: Cosmos, table: CosmosTable, proxy: Any
) -> None:
    await prepare(table)
    calls = 0

    async def others_help_meanwhile(name: str) -> None:
        nonlocal calls
        calls += name == "write"
        if name == "write" and calls == 5:
            cosmos.lose_answers = 1
        if name == "write" and calls == 6:
            assert (await table.get(OTHER) or {})["version"] == 2

    assert not await CosmosTable(Watched(proxy, others_help_meanwhile)).write(*across())
    assert await seen(table) == AFTER


async def test_a_note_that_went_while_it_was_looked_for_was_one(
    table: CosmosTable, proxy: Any
) -> None:
    """The transaction is committed and seen when the reader begins, and over when it asks."""
    await prepare(table)
    committed, go_on = asyncio.Event(), asyncio.Event()
    calls = 0

    async def waits_after_the_commit(name: str) -> None:
        nonlocal calls
        calls += name == "written"
        if name == "written" and calls == 5:
            committed.set()
            await go_on.wait()

    owner = asyncio.create_task(
        CosmosTable(Watched(proxy, waits_after_the_commit)).write(*across())
    )
    await committed.wait()
    reads = 0

    async def looks_for_the_note_late(name: str) -> None:
        nonlocal reads
        reads += name == "read"
        if reads == 2 and not go_on.is_set():
            go_on.set()
            await owner

    found = await CosmosTable(Watched(proxy, looks_for_the_note_late)).get(OTHER)
    assert found is not None
    assert found["version"] == 2


async def test_many_are_read_as_they_were_together(table: CosmosTable, proxy: Any) -> None:
    """The transaction is committed just after the reader found that it was not."""
    await prepare(table)
    reached, go_on, committed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    calls, reads = 0, 0

    async def stops_around_the_commit(name: str) -> None:
        nonlocal calls
        calls += name == "write"
        if name == "write" and calls == 5:
            reached.set()
            await go_on.wait()
        if name == "written" and calls == 5:
            committed.set()
            await asyncio.Event().wait()

    owner = asyncio.create_task(
        CosmosTable(Watched(proxy, stops_around_the_commit)).write(*across())
    )
    await reached.wait()

    async def reads_again_late(name: str) -> None:
        nonlocal reads
        reads += name == "read"
        if reads == 4:  # two documents, the note, and those two again
            go_on.set()
            await committed.wait()

    found = await CosmosTable(Watched(proxy, reads_again_late)).get_many([HOME, OTHER])
    assert [item["version"] for item in found.values()] in ([1, 1], [2, 2])
    owner.cancel()
    await asyncio.wait([owner])
    assert await seen(table) == AFTER


async def test_what_is_too_much_for_one_batch_is_still_one_change(
    cosmos: Cosmos, table: CosmosTable, proxy: Any
) -> None:
    pieces = [Put(item(Key("home", f"body#{n:03d}"), body=b"x" * 300_000)) for n in range(20)]
    many = [Put(item(Key("home", f"small#{n:03d}"))) for n in range(150)]
    with pytest.raises(Died):
        await CosmosTable(Watched(proxy, dies_at(6))).write(Put(item(HOME)), *pieces, *many)
    assert await table.under("home") == []
    await sweep(proxy)
    assert not await table.write(Put(item(HOME), absent=True), *pieces, *many)
    assert len(await table.under("home", sk="body#")) == 20
    assert len(await table.under("home", sk="small#", limit=120)) == 120
    assert not open_ends(cosmos)


async def test_of_many_changes_at_once_each_is_made_once(table: CosmosTable) -> None:
    await prepare(table)

    async def add_one(first: Key, second: Key) -> None:
        while True:
            one, two = [int((await table.get(key) or {})["version"]) for key in (first, second)]
            changes = [
                Change(first, {"version": one + 1}, {"version": one}),
                Change(second, {"version": two + 1}, {"version": two}),
            ]
            if not await table.write(*changes):
                return

    await asyncio.gather(*(add_one(*pair) for pair in [(HOME, OTHER), (OTHER, HOME)] * 3))
    assert await seen(table) == [7, 7, 1, 0, 1]


def _at_once(sleep: Any) -> Any:
    async def asleep(seconds: float, *rest: Any) -> Any:
        return await sleep(min(seconds, 0.001), *rest)

    return asleep


class Silent(Container):
    """Does not say the etags of what it wrote."""

    @override
    async def write(self, pk: str, operations: Sequence[Operation]) -> list[str]:
        return ["" for _ in await super().write(pk, operations)]


async def test_an_etag_that_is_not_said_is_looked_up(cosmos: Cosmos, proxy: Any) -> None:
    table = CosmosTable(Silent(proxy, ManualClock()))
    await prepare(table)
    assert await table.write(*across()) == frozenset()
    assert await seen(table) == AFTER
    await sweep(proxy)
    assert not open_ends(cosmos)


async def test_a_part_that_cannot_be_released_at_once_does_not_hide_what_came_of_the_write(
    cosmos: Cosmos, table: CosmosTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(table)
    await table.write(Put(item(NEW)))

    release, tries = transactions.Transactions._release, 0

    async def cannot_at_first(*given: Any, **how: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("not now", code="cosmos_unavailable")
        await release(*given, **how)

    monkeypatch.setattr(table_module, "PATIENCE_S", 0.0)
    monkeypatch.setattr(transactions.Transactions, "_release", cannot_at_first)
    assert await table.write(*across()) == {3}
    assert not open_ends(cosmos)


async def test_what_a_transaction_stands_on_expires_once_that_has_ended(
    cosmos: Cosmos, proxy: Any
) -> None:
    table = CosmosTable(Container(proxy, ManualClock()))
    await prepare(table)
    await table.write(Change(OTHER, {"expires": 2_000_000}, {"version": 1}))
    begun = [*across(), Put(item(Key("try", "1"), expires=2_000_000))]
    five_intents_and_the_commit = 11
    with pytest.raises(Died):
        await CosmosTable(Watched(proxy, dies_at(five_intents_and_the_commit))).write(*begun)
    standing = {document["pk"]: document.get("ttl") for document in open_ends(cosmos)}
    assert standing == dict.fromkeys(("home", "other", "gone", "new", "seen", "try"))
    await sweep(proxy)
    ends = {each["pk"]: each.get("ttl") for each in cosmos.documents() if each["id"] == "1"}
    assert (ends["other"], ends["try"], ends["new"]) == (1_000_000, 1_000_000, None)
