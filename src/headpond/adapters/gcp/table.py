"""The table of `adapters/documents/table.py` in a collection of Firestore.

A document has up to six fields: `data` is the item, `place` where it is, each index one that begins
with the partition, and `expires` when it may go, as a timestamp: a policy of Firestore takes no
number. So every question is a range of one field, and those Firestore indexes by itself. `data` and
`expires` are better exempt from that; docs/backends.md says how. Names begin with a hash of the
`pk`: ids of jobs rise with time, and rising names would all be written in one place.

Conditions are looked at before a commit, and hold in it because the documents that were looked at
may not have changed since (`update_time`). Nothing is locked, but where a document is only looked
at: there a transaction sees that it stays. The SDK takes no time-outs for beginning and ending one,
and waits a minute for each; so the calls are made and bounded here.
"""

import asyncio
import contextlib
import random
import secrets
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast
from urllib.parse import unquote

import msgspec
from google.api_core import exceptions
from google.api_core.retry_async import AsyncRetry
from google.auth import exceptions as auth_exceptions
from google.cloud import firestore
from typing_extensions import override

from headpond.adapters.documents.table import (
    INDEXES,
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
from headpond.adapters.gcp.places import Place
from headpond.domain.bounded import bounded
from headpond.errors import SettingsError, Unavailable

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict).decode

CALL_S = 10.0
CONFLICTS = 8
CONFLICT_S = 0.02
PAGE = 100
GET_AT_ONCE = 100

BODY_BYTES = 9_000_000
"""A commit takes 10 MiB, of which a record and what goes with it need some."""

AFTER = "\x1f"
"""Between a partition and what sorts within it, and below whatever a name has."""

HIGHEST = "\U0010ffff"

VALUE_BYTES = 1_500
"""The most that an id may have, and what an index is asked for."""

ROOM = VALUE_BYTES - len("00||")
"""For a `pk` and a `sk` in an id."""

SK_BYTES = 100
"""A `pk` leaves room for so much of its `sk`: where that is longer, first the `sk` is bounded."""

CHANGED = (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound)
"""What a commit is refused with because a document is not as it was."""

DENIED = (exceptions.NotFound, exceptions.Forbidden, exceptions.Unauthorized)
"""What nobody but the operator can put right."""

_FAILURES = (exceptions.GoogleAPIError, auth_exceptions.GoogleAuthError, TimeoutError)

RETRY = AsyncRetry(
    predicate=lambda error: isinstance(
        error, exceptions.ServiceUnavailable | exceptions.ResourceExhausted
    ),
    initial=0.1,
    maximum=2.0,
    timeout=CALL_S,
)

_firestore: Any = firestore


@asynccontextmanager
async def open_table(place: Place) -> AsyncGenerator["FirestoreTable"]:
    """The collection of this name. Raises SettingsError."""
    try:
        client = _firestore.AsyncClient(project=place.project, database=place.database)
    except auth_exceptions.DefaultCredentialsError as error:
        raise SettingsError(f"store: Google Cloud does not know who this is: {error}") from error
    try:
        table = FirestoreTable(client, place.prefix)
        await table.look_in()
        yield table
    finally:
        # `client.close` leaves a coroutine behind that nobody awaits.
        await client._firestore_api.transport.close()  # noqa: SLF001


class FirestoreTable(Table):
    """See the module's page."""

    def __init__(self, client: Any, collection: str) -> None:
        self._client = client
        self._items = client.collection(collection)

    @property
    @override
    def body_bytes(self) -> int:
        return BODY_BYTES

    async def look_in(self) -> None:
        """Whether the database is there and lets us in. Raises SettingsError, Unavailable."""
        try:
            await self.get(Key("marks", "none"))
        except Unavailable as error:
            if isinstance(error.__cause__, DENIED):
                raise SettingsError(f"store: Firestore: {error.__cause__.message}") from error
            raise

    @override
    async def get(self, key: Key) -> Item | None:
        found = await _answer(self._document(key).get(retry=RETRY, timeout=CALL_S))
        return _item(found) if found.exists else None

    @override
    async def get_many(self, keys: Sequence[Key]) -> dict[str, Item]:
        found = await self._snapshots([self._document(key) for key in keys])
        items = [_item(snapshot) for snapshot in found if snapshot.exists]
        return {str(item["pk"]): item for item in items}

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
        low, high = _place(Key(pk, first or sk)), _place(Key(pk, last or sk))
        query = self._range("place", low, high if last else high + HIGHEST, reverse=reverse)
        found = await self._found(query if limit is None else query.limit(limit))
        return [_item(snapshot) for snapshot in found]

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
        size, field = at_once or PAGE, _field(index)
        low, high = f"{partition}{AFTER}{begins or after}", f"{partition}{AFTER}{before}"
        top = high if before and not begins else low + HIGHEST
        top = top if begins or before else f"{partition}{AFTER}{HIGHEST}"
        query = self._range(field, low, top, reverse=reverse).select(["place", field]).limit(size)
        page = query
        while True:
            found = await self._found(page)
            for snapshot in found:
                sort = snapshot.get(field).partition(AFTER)[2]
                if begins or sort not in {after, before}:
                    yield _key(snapshot.get("place"), sort)
            if len(found) < size:
                return
            last = found[-1].get(field).encode()[:VALUE_BYTES].decode(errors="ignore")
            page = query.start_after({field: last})

    @override
    async def everything(self, sk: str) -> list[Item]:
        items = [_item(snapshot) for snapshot in await self._found(self._items)]
        return [item for item in items if item["sk"] == sk]

    @override
    async def write(self, *writes: Write) -> frozenset[int]:
        by = secrets.token_hex(8)
        for number in range(CONFLICTS):
            failed = await _answer(self._attempt(writes, by))
            if failed is not None:
                return failed
            await asyncio.sleep(CONFLICT_S * 2**number * (0.5 + random.random()))
        message = f"Firestore: {CONFLICTS} tries of a write met others."
        raise Unavailable(message, code="firestore_unavailable")

    @override
    async def delete_many(self, keys: Iterable[Key]) -> None:
        await asyncio.gather(*(self.write(Delete(key)) for key in keys))

    async def _attempt(self, writes: Sequence[Write], by: str) -> frozenset[int] | None:
        """The numbers of those whose conditions failed; None if others came in between."""
        looked_at = any(isinstance(write, Check) for write in writes)
        attempt = self._in_transaction if looked_at else self._in_batch
        try:
            return await attempt(writes, by)
        except (*CHANGED, exceptions.Aborted):
            # Ours, if the answer got lost; or somebody else's, and then it is looked at again.
            return frozenset() if await self._is_written(writes, by) else None

    async def _in_batch(self, writes: Sequence[Write], by: str) -> frozenset[int]:
        """Conditions of changes are looked at; that of a new item is the commit's own."""
        conditional = [write for write in writes if isinstance(write, Change)]
        standing = await self._standing(conditional)
        failed = _failed(writes, standing)
        if failed:
            also_new = await self._standing([w for w in writes if _is_new(w)])
            return _failed(writes, standing | also_new)
        batch = self._client.batch()
        for write in writes:
            self._add(batch, write, standing, by)
        try:
            await batch.commit(retry=RETRY, timeout=CALL_S)
        except exceptions.AlreadyExists:
            found = await self._standing([w for w in writes if not isinstance(w, Delete)])
            failed = _failed(writes, found)
            if failed and not _by_us(writes, found, by):
                return failed
            raise
        return frozenset()

    async def _in_transaction(self, writes: Sequence[Write], by: str) -> frozenset[int]:
        transaction = self._client.transaction()
        await _within(transaction._begin())  # noqa: SLF001
        try:
            conditional = [w for w in writes if isinstance(w, Change | Check) or _is_new(w)]
            standing = await self._standing(conditional, transaction)
            failed = _failed(writes, standing)
            if not failed:
                for write in writes:
                    self._add(transaction, write, standing, by, guarded=True)
                await _within(transaction._commit())  # noqa: SLF001
            return failed
        finally:
            if transaction.in_progress:
                # Firestore does it by itself, a minute later.
                with contextlib.suppress(*_FAILURES):
                    await _within(transaction._rollback())  # noqa: SLF001

    def _add(
        self,
        batch: Any,
        write: Write,
        standing: Mapping[Key, Any],
        by: str,
        *,
        guarded: bool = False,
    ) -> None:
        """Into a batch, if what was read stands; a transaction guards that itself."""
        match write:
            case Put(item, absent):
                (batch.create if absent else batch.set)(
                    self._document(_key_of(write)), _fields({**item, "by": by})
                )
            case Change(key, to):
                before = standing[key]
                item = {**_item(before), **to, "by": by}
                kept = {name: value for name, value in item.items() if value is not None}
                fields = dict.fromkeys(MAY_GO, _firestore.DELETE_FIELD)
                last = None if guarded else before.update_time
                option = None if last is None else self._client.write_option(last_update_time=last)
                batch.update(self._document(key), {**fields, **_fields(kept)}, option=option)
            case Delete(key):
                batch.delete(self._document(key))
            case Check():
                pass

    async def _is_written(self, writes: Sequence[Write], by: str) -> bool:
        kept = [write for write in writes if isinstance(write, Put | Change)]
        return _by_us(kept, await self._standing(kept), by)

    async def _standing(self, writes: Sequence[Write], transaction: Any = None) -> dict[Key, Any]:
        """The documents that these writes are about, as they are; those that there are."""
        documents = {self._document(key).path: key for key in map(_key_of, writes)}
        found = await self._snapshots(
            [self._document(key) for key in documents.values()], transaction
        )
        return {documents[one.reference.path]: one for one in found if one.exists}

    async def _snapshots(self, documents: Sequence[Any], transaction: Any = None) -> list[Any]:
        pieces = [
            documents[begin : begin + GET_AT_ONCE]
            for begin in range(0, len(documents), GET_AT_ONCE)
        ]
        found = await asyncio.gather(*(self._some(piece, transaction) for piece in pieces))
        return [snapshot for snapshots in found for snapshot in snapshots]

    async def _some(self, documents: Sequence[Any], transaction: Any) -> list[Any]:
        answers = self._client.get_all(
            documents, transaction=transaction, retry=RETRY, timeout=CALL_S
        )
        return await _answer(_all(answers))

    async def _found(self, query: Any) -> list[Any]:
        return await _answer(query.get(retry=RETRY, timeout=CALL_S))

    def _range(self, field: str, low: str, high: str, *, reverse: bool) -> Any:
        return (
            self._items.where(filter=_firestore.FieldFilter(field, ">=", low))
            .where(filter=_firestore.FieldFilter(field, "<=", high))
            .order_by(field, direction="DESCENDING" if reverse else "ASCENDING")
        )

    def _document(self, key: Key) -> Any:
        return self._items.document(_place(key))


def _field(index: str) -> str:
    return f"by_{index}"


MAY_GO = (*map(_field, INDEXES), "expires")
"""Fields that a change may leave a document without."""


def _fields(item: Item) -> dict[str, str | bytes | datetime]:
    """The document of an item."""
    fields: dict[str, str | bytes | datetime] = {
        "data": _encode(item),
        "place": _place(Key(str(item["pk"]), str(item["sk"]))),
    }
    for index, (partition, sort) in INDEXES.items():
        if partition in item and sort in item:
            fields[_field(index)] = f"{item[partition]}{AFTER}{item[sort]}"
    if "expires" in item:
        fields["expires"] = datetime.fromtimestamp(int(item["expires"]), UTC)
    return fields


def _item(snapshot: Any) -> Item:
    return cast("Item", _decode(snapshot.get("data")))


def _place(key: Key) -> str:
    """A document's id: what a name may not have is written otherwise, and sorts as before.

    What is too long is bounded, and what `_key` makes of that leads to the same document. All of a
    partition begins alike, unless its `pk` is so long that it has one document.
    """
    pk = bounded(key.pk, ROOM - min(len(_escaped(key.sk).encode()), SK_BYTES), write=_escaped)
    sk = bounded(key.sk, ROOM - len(pk.encode()), write=_escaped)
    spread = zlib.crc32(unquote(pk).encode()) % 256
    return f"{spread:02x}|{pk}|{sk}"


def _key(place: str, sort: str) -> Key:
    _, pk, sk = place.split("|")
    return Key(unquote(pk), unquote(sk), sort)


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F").replace("|", "%7C")


def _key_of(write: Write) -> Key:
    if isinstance(write, Put):
        return Key(str(write.item["pk"]), str(write.item["sk"]))
    return Key(write.key.pk, write.key.sk)


def _is_new(write: Write) -> bool:
    return isinstance(write, Put) and write.absent


def _failed(writes: Sequence[Write], standing: Mapping[Key, Any]) -> frozenset[int]:
    """Whose conditions do not hold on what was read; of what was not, nothing is known."""
    return frozenset(
        number for number, write in enumerate(writes) if _fails(write, standing.get(_key_of(write)))
    )


def _fails(write: Write, found: Any) -> bool:
    match write:
        case Put(absent=absent):
            return absent and found is not None
        case Change(standing=standing) | Check(standing=standing):
            item = {} if found is None else _item(found)
            return any(item.get(name) != value for name, value in standing.items())
        case Delete():
            return False


def _by_us(writes: Sequence[Write], standing: Mapping[Key, Any], by: str) -> bool:
    kept = [write for write in writes if isinstance(write, Put | Change)]
    found = [standing.get(_key_of(write)) for write in kept]
    return any(one is not None and _item(one).get("by") == by for one in found)


async def _all(answers: AsyncIterator[T]) -> list[T]:
    return [answer async for answer in answers]


async def _answer(call: Awaitable[T]) -> T:
    """Where Google's errors become ours."""
    try:
        return await call
    except _FAILURES as error:
        raise _away(error) from error


async def _within(call: Awaitable[T]) -> T:
    """What the SDK calls with time-outs of its own. Raises TimeoutError."""
    try:
        async with asyncio.timeout(CALL_S):
            return await call
    except TimeoutError as error:
        raise TimeoutError(f"a transaction is not answered within {CALL_S:g} s") from error


def _away(error: Exception) -> Unavailable:
    return Unavailable("Firestore does not answer.", why=str(error), code="firestore_unavailable")
