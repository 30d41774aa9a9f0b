"""Bodies of jobs, beside their records: small ones in items, large ones in an object store.

An object is named by a place, an item beside the record, so that nothing needs to be looked for in
the object store:

1. The place is written, `coming`, and stands in the agenda.
2. The object is written, under a name of the job's id that is used once.
3. The place becomes `here`, in the transaction that writes the record, and leaves the agenda.
4. When bodies are erased the place becomes `going`, in the transaction that writes the record, and
   is in the agenda again.
5. The sweep deletes the object, then the place.

Who fails before 3 takes the place from `coming` to `going`; for who dies there, the sweep does it,
once `FORSAKEN_S` have passed. Who slept in the meantime and comes to 3 finds the place changed:
nothing is written. So no record names an object that is not there.

Request and response in the table may be more than one transaction takes. Then erasing removes the
request with the transaction that writes the record, and leaves a place for the rest.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Sequence
from math import inf
from typing import Literal, TypeAlias

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, up_to
from headpond.adapters.documents.records import agenda_of
from headpond.adapters.documents.table import (
    Change,
    Delete,
    Item,
    Key,
    Put,
    Table,
    Value,
    Write,
    at,
    just_after,
    raw,
    shard_of,
)
from headpond.domain.archive import ObjectName
from headpond.domain.job import JobId
from headpond.errors import TooLarge, Unavailable
from headpond.ports.clock import Clock
from headpond.ports.jobs import Bodies
from headpond.ports.leftovers import Leftovers
from headpond.ports.objects import ObjectStore

Kind: TypeAlias = Literal["request", "response"]
Stage: TypeAlias = Literal["coming", "here", "going", "rest"]

PIECE = 300_000
"""Bytes of a body in one item, which may have 400 KB."""

INLINE = 100_000
"""A larger body goes to the object store, if there is one; decisions/0067 says why so many."""

FORSAKEN_S = 3_600.0
"""An object on its way is somebody's who is still writing, or nobody's after this long."""

REST: Stage = "rest"
"""A place that leads to pieces in the table for which erasing had no room in its transaction."""

TOO_LARGE = {"request": "body_too_large", "response": "response_too_large"}


class DocumentBodies(Leftovers):
    """Without `objects` every body lies in the table, as far as it has room."""

    def __init__(self, table: Table, clock: Clock, objects: ObjectStore | None = None) -> None:
        self._table = table
        self._clock = clock
        self._objects = objects

    @property
    def most_bytes(self) -> int | None:
        """The largest body that there is room for, None if that is no limit."""
        return self._table.body_bytes if self._objects is None else None

    async def stored(self, job_id: JobId, kind: Kind, body: bytes) -> Sequence[Put | Change]:
        """What is to be written with the record, once all that has to come before it is done.

        Raises TooLarge if there will never be room for it.
        """
        if self._objects is not None and len(body) > INLINE:
            return [await self._object(self._objects, job_id, kind, body)]
        if self.most_bytes is not None and len(body) > self.most_bytes:
            message = (
                f"The {kind} has {len(body)} bytes, and the store has room for {self.most_bytes}."
            )
            raise TooLarge(message, code=TOO_LARGE[kind])
        pieces = [body[begin : begin + PIECE] for begin in range(0, len(body), PIECE)] or [b""]
        return [
            Put({"pk": f"job#{job_id}", "sk": f"{kind}#{number:04d}", "body": piece})
            for number, piece in enumerate(pieces)
        ]

    async def withdraw(self, stored: Sequence[Write]) -> None:
        """The record was not written: what came before it goes, unless it was written after all."""
        for write in stored:
            if isinstance(write, Change):
                with contextlib.suppress(Unavailable):  # then its time will come
                    await self._forsake(write.key)

    async def read(self, job_id: JobId) -> Bodies | None:
        """Both bodies of a job; None if they are not there."""
        return await self.of(job_id, await self._items(job_id))

    async def of(self, job_id: JobId, items: Iterable[Item]) -> Bodies | None:
        """Both bodies of what lies beside a record; None if they are not there."""
        kept = [item for item in items if "body" in item or item.get("stage") == "here"]
        if not any(_kind(item) == "request" for item in kept):
            return None
        found = await asyncio.gather(*(self._piece(item) for item in kept))
        pieces: dict[str, list[bytes]] = {}
        for item, piece in zip(kept, found, strict=True):
            if piece is None:
                return await self._gone(job_id, item)
            pieces.setdefault(_kind(item), []).append(piece)
        response = pieces.get("response")
        return Bodies(b"".join(pieces["request"]), None if response is None else b"".join(response))

    async def erasing(self, job_id: JobId) -> Sequence[Write]:
        """What is to be written with the record that says that they are erased."""
        items = await self._items(job_id)
        pieces = [item for item in items if "body" in item]
        moved = [
            self._moved(_key(item), "here", "going")
            for item in items
            if item.get("stage") == "here"
        ]
        if sum(len(raw(piece, "body")) for piece in pieces) <= (self._table.body_bytes or inf):
            return [*(Delete(_key(piece)) for piece in pieces), *moved]
        # One transaction takes no more than the request, and without it there is no body. The
        # sweep takes the rest.
        requests = [Delete(_key(piece)) for piece in pieces if _kind(piece) == "request"]
        rest = Key(f"job#{job_id}", REST)
        return [*requests, *moved, Put({"pk": rest.pk, "sk": rest.sk, **self._listed(rest, REST)})]

    @override
    async def remove(self, *, limit: int) -> int:
        rest = await up_to(agenda(self._table, REST), limit)
        await asyncio.gather(*(self._finish_pieces(Key(key.pk, key.sk)) for key in rest))
        gone = 0 if self._objects is None else await self._remove_objects(self._objects, limit)
        return len(rest) + gone

    async def _remove_objects(self, objects: ObjectStore, limit: int) -> int:
        now = self._clock.now()
        coming = agenda(self._table, "coming", before=just_after(now - FORSAKEN_S))
        for key in await up_to(coming, limit):
            await self._forsake(Key(key.pk, key.sk))
        going = await up_to(agenda(self._table, "going", before=just_after(now)), limit)
        finishing = [self._finish(objects, Key(key.pk, key.sk)) for key in going]
        done = await asyncio.gather(*finishing, return_exceptions=True)
        failures = [each for each in done if isinstance(each, BaseException)]
        if failures and len(failures) == len(done):
            raise failures[0]
        return len(done) - len(failures)

    async def _object(self, objects: ObjectStore, job_id: JobId, kind: Kind, body: bytes) -> Change:
        key = Key(f"job#{job_id}", f"{kind}#{secrets.token_hex(16)}")
        place: Item = {"pk": key.pk, "sk": key.sk, **self._listed(key, "coming")}
        await self._table.write(Put(place, absent=True))
        moved = self._moved(key, "coming", "here")
        try:
            await objects.put(_name(key), body)
        except Exception:
            await self.withdraw([moved])  # the next try has a place of its own
            raise
        return moved

    async def _forsake(self, key: Key) -> None:
        """Nobody will write the record any more, unless it is written already."""
        await self._table.write(self._moved(key, "coming", "going"))

    async def _finish(self, objects: ObjectStore, key: Key) -> None:
        """The object first: until the place is gone it leads here again, behind all others."""
        try:
            await objects.delete(_name(key))
        except Exception:
            await self._table.write(self._moved(key, "going", "going"))
            raise
        await self._table.write(Delete(key))

    async def _finish_pieces(self, rest: Key) -> None:
        items = await self._items(JobId(rest.pk.removeprefix("job#")))
        await self._table.delete_many([_key(item) for item in items if "body" in item])
        await self._table.write(Delete(rest))

    async def _piece(self, item: Item) -> bytes | None:
        if "body" in item:
            return raw(item, "body")
        if self._objects is None:
            message, why = "The body lies in an object store.", "set batches.files as it was"
            raise Unavailable(message, why=why, code="bodies_unavailable")
        return await self._objects.get(_name(_key(item)))

    async def _gone(self, job_id: JobId, item: Item) -> None:
        """There was no object: None if it is erased by now. Raises Unavailable if it should be."""
        now = await self._table.get(_key(item))
        if now is not None and now["stage"] == "here":
            message = (
                f"A body of {job_id} is missing in the object store. Put it back, "
                f"or erase the job's bodies: DELETE /jobs/{job_id}."
            )
            raise Unavailable(message, why=_name(_key(item)), code="bodies_unavailable")

    async def _items(self, job_id: JobId) -> list[Item]:
        return await self._table.under(f"job#{job_id}", sk="re")

    def _moved(self, key: Key, was: Stage, to: Stage) -> Change:
        moved = {"agenda": None, "at": None} if to == "here" else self._listed(key, to)
        return Change(key, {"stage": to, **moved}, {"stage": was})

    def _listed(self, key: Key, stage: Stage) -> dict[str, Value]:
        """In the agenda by its time, since no record names it."""
        name = f"{key.pk}#{key.sk}"
        when = at(self._clock.now(), name)
        return {"stage": stage, "agenda": agenda_of(stage, shard_of(name)), "at": when}


def _kind(item: Item) -> str:
    return str(item["sk"]).partition("#")[0]


def _name(key: Key) -> ObjectName:
    """Where the body lies that has its place there."""
    job_id = key.pk.removeprefix("job#")
    return ObjectName(f"bodies/{job_id}.{key.sk.replace('#', '.')}")


def _key(item: Item) -> Key:
    return Key(str(item["pk"]), str(item["sk"]))
