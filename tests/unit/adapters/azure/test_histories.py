"""Random histories of clients, some of which die: each change is made everywhere or nowhere.

Batches arrive twice, the second time whenever. What changes together is read together, where it is
too much for one batch, too; and the index has in the end what is there.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from headpond.adapters.azure import container as container_module
from headpond.adapters.azure import table as table_module
from headpond.adapters.azure import transactions
from headpond.adapters.azure.container import Container
from headpond.adapters.azure.sweeping import Sweep
from headpond.adapters.azure.table import CosmosTable
from headpond.adapters.documents.table import Change, Item, Key, Put, Write
from headpond.errors import Unavailable
from headpond.testing.clocks import ManualClock
from tests.emulators.cosmos_server import Cosmos, cosmos_server
from tests.unit.adapters.azure.clients import Died, TakesTurns, Turns, a_container

PLACES = [Key(f"place-{number}", "1") for number in range(4)]
SHELF = [Key("shelf", str(number)) for number in range(5)]
"""In one partition, and too many for one batch."""

AT_ONCE = 2
"""Operations of a batch."""

CHANGES = 3
"""Of each client."""

READS = 20


@pytest.fixture
async def cosmos() -> AsyncIterator[Cosmos]:
    async with cosmos_server(Cosmos()) as server:
        yield server


class History:
    """Clients sign at some places each, all in one change; what they were told is kept."""

    def __init__(self, cosmos: Cosmos, proxy: Any, dice: random.Random) -> None:
        self._cosmos = cosmos
        self._proxy = proxy
        self._dice = dice
        self.turns = Turns(dice)
        self.late: list[asyncio.Task[None]] = []
        self.tried: dict[str, list[Key]] = {}
        """Where who wanted to sign."""
        self.told: dict[str, bool] = {}
        """Whether they did, of those who were told."""

    async def client(self, name: str) -> None:
        """Some changes, one after the other."""
        dies = self._dice.choice((0.0, 0.05, 0.15))
        table = CosmosTable(self._connection(dies))
        for number in range(CHANGES):
            try:
                await self._sign(table, f"{name}{number}")
            except Unavailable:
                continue
            except Died:
                return

    async def reader(self) -> None:
        """Sees the whole shelf as one change left it."""
        table = CosmosTable(self._connection(dies=0.0))
        for _ in range(READS):
            with contextlib.suppress(Unavailable):
                items = await table.under("shelf")
                assert len(items) in {0, len(SHELF)}
                assert len({item["names"] for item in items}) <= 1

    def _connection(self, dies: float) -> TakesTurns:
        return TakesTurns(self._proxy, self.turns, self._dice, dies, self.late)

    async def sweeper(self) -> None:
        """Ends what it sees twice, although it may be alive."""
        sweep = Sweep(self._connection(dies=0.0))
        for _ in range(self._dice.choice((0, 6))):
            await sweep.tick()

    async def _sign(self, table: CosmosTable, token: str) -> None:
        places = self._dice.sample(PLACES, self._dice.randint(1, 3))
        keys = self.tried[token] = self._dice.choice(
            (places, places, [*SHELF], [*places[:1], *SHELF])
        )
        if self._dice.random() < 0.2:
            self._cosmos.lose_answers = 1
        standing = [await table.get(key) for key in keys]
        signed = [_signed(*each, token) for each in zip(keys, standing, strict=True)]
        self.told[token] = not await table.write(*signed)


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(12))
async def test_each_change_is_made_everywhere_or_nowhere(
    seed: int, cosmos: Cosmos, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    async with a_container(cosmos) as proxy:
        table = CosmosTable(Container(proxy, ManualClock()))
        for key in PLACES[:2]:
            await table.write(Put(_item(key, "")))
        history = History(cosmos, proxy, dice)

        async def pause(*_: object) -> None:
            await history.turns.turn()

        for module in (container_module, table_module, transactions):
            monkeypatch.setattr(module, "pause", pause)
        monkeypatch.setattr(transactions, "BATCH_OPERATIONS", AT_ONCE)
        monkeypatch.setattr(table_module, "PATIENCE_S", dice.choice((0.0, 0.01, 1000.0)))
        clients = [asyncio.create_task(history.client(name)) for name in "abcde"]
        clients += [asyncio.create_task(each) for each in (history.sweeper(), history.reader())]
        await history.turns.drive(clients)
        await history.turns.drive(history.late)
        await asyncio.gather(*clients, *history.late)
        cosmos.lose_answers = 0
        monkeypatch.undo()
        sweep = Sweep(Container(proxy, ManualClock()))
        await sweep.tick()
        await sweep.tick()
        found = {key: await table.get(key) for key in (*PLACES, *SHELF)}
        listed = {(key.pk, key.sk, key.sort) async for key in table.look("agenda", "signed")}
    assert not [document for document in cosmos.documents() if "open" in document]
    for token, keys in history.tried.items():
        places = {key for key in found if token in _names(found[key])}
        assert places in (set[Key](), {*keys}), token
        assert bool(places) == history.told.get(token, bool(places)), token
    for key, item in found.items():
        names = _names(item)
        changes = 0 if item is None else int(item["version"]) - (key in PLACES[:2])
        assert len(set(names)) == len(names) == changes, "none twice, none lost"
    there = [item for item in found.values() if item is not None]
    assert listed == {(str(item["pk"]), str(item["sk"]), str(item["at"])) for item in there}


def _item(key: Key, names: str) -> Item:
    item: Item = {"pk": key.pk, "sk": key.sk, "version": 1, "names": names}
    return item | {"agenda": "signed", "at": f"at-{names}"}


def _signed(key: Key, there: Item | None, token: str) -> Write:
    if there is None:
        return Put(_item(key, token), absent=True)
    version = int(there["version"])
    names = f"{there['names']} {token}"
    to = {"version": version + 1, "names": names, "at": f"at-{names}"}
    return Change(key, to, {"version": version})


def _names(item: Item | None) -> list[str]:
    return [] if item is None else str(item["names"]).split()
