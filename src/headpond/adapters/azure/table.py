"""The table of `adapters/documents/table.py` in a container of Cosmos DB.

A partition of the table is one of the container, so that what lies under one `pk` changes in one
batch, and a change across them takes a transaction (`transactions.py`). Everything that is asked is
a range of one field or a list of places (`documents.py`), and those fields alone are indexed.

Conditions are looked at before a write, and hold in it because each document that was looked at has
an etag. A new document is believed to be new: only who is refused looks what is there.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from time import monotonic

from typing_extensions import override

from headpond.adapters.azure import queries
from headpond.adapters.azure.account import Place, open_container
from headpond.adapters.azure.container import Container, pause
from headpond.adapters.azure.documents import (
    AFTER,
    HIGHEST,
    Document,
    Intent,
    field_of,
    id_of,
    place_of,
    read,
)
from headpond.adapters.azure.sweeping import Sweep
from headpond.adapters.azure.transactions import Changed, Step, Transactions
from headpond.adapters.documents.table import (
    Change,
    Check,
    Delete,
    Item,
    Key,
    Put,
    Table,
    Write,
    none_between,
    none_from,
)
from headpond.errors import Unavailable
from headpond.ports.clock import Clock

FEW = 8
"""So many documents cost less one by one than by a query, which goes to all physical partitions."""

GET_AT_ONCE = 100
TRIES = 10
PAUSE_S = 0.02
PATIENCE_S = 1.0
"""A transaction that stands in the way for so long is aborted. One takes a tenth of it."""


@asynccontextmanager
async def open_table(place: Place, clock: Clock) -> AsyncGenerator["CosmosTable"]:
    """The container of this name, made if need be. Raises SettingsError, Unavailable."""
    async with open_container(place) as proxy:
        container = Container(proxy, clock)
        sweeping = asyncio.create_task(Sweep(container).run())
        try:
            yield CosmosTable(container)
        finally:
            sweeping.cancel()
            await asyncio.wait([sweeping])


class CosmosTable(Table):
    """See the module's page."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._transactions = Transactions(container)

    @property
    @override
    def body_bytes(self) -> None:
        """A transaction has as many batches as it needs."""
        return None

    @override
    async def get(self, key: Key) -> Item | None:
        found = await self._standing(lambda: self._read([key]))
        return found[0].item if found else None

    @override
    async def get_many(self, keys: Sequence[Key]) -> dict[str, Item]:
        pieces = [keys[begin : begin + GET_AT_ONCE] for begin in range(0, len(keys), GET_AT_ONCE)]
        found = await asyncio.gather(*(self._get_some(piece) for piece in pieces))
        return {str(item["pk"]): item for items in found for item in items}

    @override
    async def under(
        self,
        pk: str,
        *,
        sk: str = "",
        first: str = "",
        last: str = "",
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Item]:
        if none_from(first, last):
            return []
        high = place_of(Key(pk, last)) if last else place_of(Key(pk, sk)) + HIGHEST
        query = queries.between(reverse=reverse)
        parameters = {"@low": place_of(Key(pk, first or sk)), "@high": high}

        async def ask() -> list[Document]:
            found: list[Document] = []
            rows = self._container.ask(query, parameters, pk=pk, at_once=limit or GET_AT_ONCE)
            async with aclosing(rows):
                async for row in rows:
                    found.append(read(row))
                    if limit is not None and len(_items(found)) == limit:
                        break
            return found

        return _items(await self._standing(ask))

    @override
    async def look(
        self,
        index: str,
        partition: str,
        *,
        after: str = "",
        before: str = "",
        begins: str = "",
        reverse: bool = False,
        at_once: int | None = None,
    ) -> AsyncIterator[Key]:
        if not begins and none_between(after, before):
            return
        field = field_of(index)
        low = f"{partition}{AFTER}{begins or after}"
        high = f"{partition}{AFTER}{before or HIGHEST}" if not begins else low + HIGHEST
        query = queries.in_index(index, low=">=" if begins else ">", reverse=reverse)
        rows = self._container.ask(
            query, {"@low": low, "@high": high}, at_once=at_once or GET_AT_ONCE
        )
        async with aclosing(rows):
            async for row in rows:
                pk, _, sk = row["place"].partition(AFTER)
                key = Key(pk, sk, row[field].partition(AFTER)[2])
                # What has an intent may be a ghost.
                if "open" not in row or await self.get(key) is not None:
                    yield key

    @override
    async def everything(self, sk: str) -> list[Item]:
        return _items(
            await self._standing(lambda: self._found(queries.WITH_ID, {"@id": id_of(sk)}))
        )

    @override
    async def write(self, *writes: Write) -> frozenset[int]:
        assert len({*map(_key_of, writes)}) == len(writes)  # noqa: S101 - an item is written once
        met: dict[str, float] = {}
        looked_at = [write for write in writes if not isinstance(write, Put)]
        for attempt in range(TRIES):
            documents = await self._transactions.documents([_key_of(each) for each in looked_at])
            in_the_way = [each for each in documents.values() if each.intent is not None]
            failed = _failed(writes, documents)
            if failed and not in_the_way and len(looked_at) == len(writes):
                return failed
            if not failed and not in_the_way:
                try:
                    await self._make(writes, documents)
                except Changed:
                    pass
                else:
                    return frozenset()
            for document in in_the_way:
                await self._make_way(document, met)
            looked_at = list(writes)
            await pause(PAUSE_S, attempt)
        message = f"Cosmos DB: {TRIES} tries of a write met others."
        raise Unavailable(message, code="cosmos_unavailable")

    @override
    async def delete_many(self, keys: Iterable[Key]) -> None:
        await asyncio.gather(*(self.write(Delete(key)) for key in keys))

    async def _make(self, writes: Sequence[Write], documents: Mapping[Key, Document]) -> None:
        steps = [_step(write, documents.get(_key_of(write))) for write in writes]
        needed = [step for step in steps if step.before is not None or step.after is not None]
        if needed:
            await self._transactions.write(needed)

    async def _make_way(self, document: Document, met: dict[str, float]) -> None:
        """Have whoever was there before end, by force if it takes too long."""
        assert document.intent is not None  # noqa: S101 - it is in the way
        intent = document.intent
        stood_s = monotonic() - met.setdefault(intent.txn, monotonic())
        if not await self._transactions.helped(intent) and stood_s >= PATIENCE_S:
            await self._transactions.settle(intent.home, intent.txn, [document])

    async def _standing(self, ask: Callable[[], Awaitable[list[Document]]]) -> list[Document]:
        """What is found; where there is an intent, it was not committed when that was read."""
        found = await ask()
        for attempt in range(TRIES):
            intents = _intents(found)
            if not intents:
                return found
            helped = [await self._transactions.helped(intent) for intent in intents.values()]
            again = await ask()
            if not any(helped) and intents.keys() <= _intents(again).keys():
                return found
            if not _intents(again):
                return again
            found = again
            await pause(PAUSE_S, attempt)
        message = f"Cosmos DB: {TRIES} tries to read met others."
        raise Unavailable(message, code="cosmos_unavailable")

    async def _get_some(self, keys: Sequence[Key]) -> list[Item]:
        if len(keys) <= FEW:
            return _items(await self._standing(lambda: self._read(keys)))
        parameters = {f"@p{number}": place_of(key) for number, key in enumerate(keys)}
        query = queries.at_places(parameters)
        return _items(await self._standing(lambda: self._found(query, parameters)))

    async def _read(self, keys: Sequence[Key]) -> list[Document]:
        return list((await self._transactions.documents(keys)).values())

    async def _found(self, query: str, parameters: Mapping[str, str]) -> list[Document]:
        return [read(row) async for row in self._container.ask(query, parameters)]


def _items(documents: Iterable[Document]) -> list[Item]:
    return [document.item for document in documents if document.item is not None]


def _intents(documents: Iterable[Document]) -> dict[str, Intent]:
    return {each.intent.txn: each.intent for each in documents if each.intent is not None}


def _key_of(write: Write) -> Key:
    if isinstance(write, Put):
        return Key(str(write.item["pk"]), str(write.item["sk"]))
    return Key(write.key.pk, write.key.sk)


def _failed(writes: Sequence[Write], documents: Mapping[Key, Document]) -> frozenset[int]:
    """Whose conditions do not hold on what was read; of what was not, nothing is known."""
    return frozenset(
        number
        for number, write in enumerate(writes)
        if _fails(write, documents.get(_key_of(write)))
    )


def _fails(write: Write, found: Document | None) -> bool:
    match write:
        case Put(absent=absent):
            return absent and found is not None
        case Change(standing=standing) | Check(standing=standing):
            item = None if found is None else found.item
            return item is None or any(item.get(name) != value for name, value in standing.items())
        case Delete():
            return False


def _step(write: Write, before: Document | None) -> Step:
    item = {} if before is None or before.item is None else before.item
    match write:
        case Put(to):
            after = dict(to)
        case Change(_, to):
            after = {name: value for name, value in {**item, **to}.items() if value is not None}
        case Check():
            after = item
        case Delete():
            after = None
    return Step(_key_of(write), before, after)
