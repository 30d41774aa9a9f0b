"""Documents of several partitions changed together, all or none.

Cosmos DB does that within one partition, by a batch. Across them it is done here in two phases with
a primary, as Percolator does (Peng and Dabek, "Large-scale Incremental Processing Using Distributed
Transactions and Notifications", OSDI 2010). One partition is the home, where the first write is:

1. Intents: in each other partition a batch puts onto each document what is to become of it, if the
   document still is as it was read. Where there is none, a ghost is created.
2. The commit: one batch in the home changes its own documents and creates the note `txn:NAME`,
   which lists where the intents are. From then on everything has happened.
3. Each other partition is rolled forward by a batch.
4. The note is removed.

Whoever meets an intent asks its home for the note. If it is there, the transaction is committed: it
is rolled forward, and read again. If not, what was there before holds, provided that the intent
still stands afterwards: else it may have been committed and rolled forward meanwhile. A writer
waits a little and then aborts the transaction by creating a note of that name, which says so: the
owner's commit then fails, since a batch that creates what exists does nothing. So the one note
decides, and exists once.

What becomes of it when the owner dies:

    while it places intents   nothing has happened; whoever meets them aborts it
    before the commit         likewise
    while it commits          the batch is whole or nothing: as before or after
    after the commit          whoever meets an intent rolls all of them forward
    before the note goes      the sweep finds it, and lets it expire

No intent waits for somebody to come by: each process sweeps (`Sweep` in `sweeping.py`), and settles
what has stood from one sweep to the next.

Why nothing goes wrong when somebody is slow, or an answer is lost and the SDK sends again:

- Every write has an etag or requires that there is no document, so a second one does nothing. (It
  would, if it came so late that its document is gone again: a ghost that nobody commits, or an item
  as if it was written then. A connection that broke holds nothing back for so long.)
- Who is refused looks: an intent of its own name was placed by itself, and a note of its own name
  that does not say `aborted` is its commit. Others never remove such a note: they let it
  expire, a day later, so that its owner finds it.
- Others take an intent away only once its note exists; its owner does so too, but for one whose
  commit it has not sent and never will. A commit therefore finds all of its intents.
- A note that says `aborted` expires after a day. An owner does not commit once `COMMIT_WITHIN_S`
  have passed; a call and its repetitions take minutes at most.
- Nobody holds intents while waiting for those of others: who meets one takes its own away.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec

from headpond.adapters.azure.container import (
    Container,
    Operation,
    Refused,
    create,
    delete,
    pause,
    replace,
)
from headpond.adapters.azure.documents import Document, Intent, Json, id_of, read, size_of, written
from headpond.adapters.documents.table import Item, Key
from headpond.errors import Unavailable

BATCH_BYTES = 1_000_000
"""The service takes 2 MB in one batch, and the HTTP library less without a warning."""

BATCH_OPERATIONS = 99
"""The service takes 100, of which the note is one."""

COMMIT_WITHIN_S = 60.0
NOTE_EXPIRES_S = 86_400
NOTE = "txn:"
TRIES = 8
PAUSE_S = 0.02


class Changed(Exception):
    """Nothing was written: a document is not as it was read."""


class Step(msgspec.Struct, frozen=True):
    """What is to become of a document: `before` is None where there is none, `after` if it goes."""

    key: Key
    before: Document | None
    after: Item | None


class Part(msgspec.Struct, frozen=True):
    """Steps in one partition that fit into one batch."""

    pk: str
    steps: Sequence[Step]


def parts_of(steps: Sequence[Step]) -> list[Part]:
    """The steps by partition, those of the first one first; what is too much for one is in two."""
    parts: list[Part] = []
    for pk in dict.fromkeys(step.key.pk for step in steps):
        some: list[Step] = []
        size = 0
        for step in (step for step in steps if step.key.pk == pk):
            weight = _weight(step)
            if some and (size + weight > BATCH_BYTES or len(some) == BATCH_OPERATIONS):
                parts.append(Part(pk, some))
                some, size = [], 0
            some.append(step)
            size += weight
        parts.append(Part(pk, some))
    return parts


class Transactions:
    """Of one container, shared with any number of processes."""

    def __init__(self, container: Container) -> None:
        self._container = container

    async def write(self, steps: Sequence[Step]) -> None:
        """All of the steps, or none and Changed. Unavailable leaves open whether they were made."""
        home, *others = parts_of(steps)
        if others:
            await self._write_across(home, others)
        else:
            await self._write_alone(home)

    async def helped(self, intent: Intent) -> bool:
        """Whether it is committed; then nothing of it is left to do."""
        note = await self._container.read(intent.home, _note_id(intent.txn))
        if note is None or note["aborted"]:
            return False
        marked = [
            list((await self.documents([Key(pk, sk) for sk in names])).values())
            for pk, names in note["parts"]
        ]
        await self._release([some for some in marked if some], intent.txn, forward=True)
        if "open" in note:
            # Its owner may not know yet. Others have done this, too, if it is refused.
            with contextlib.suppress(Refused):
                await self._container.write(intent.home, [replace(_expiring(note), note["_etag"])])
        return True

    async def settle(self, home: str, txn: str, documents: Sequence[Document]) -> None:
        """End a transaction that has stood for long, with what it left on these documents."""
        if await self._aborted(home, txn):
            await self._release([[document] for document in documents], txn, forward=False)
        else:
            await self.helped(Intent(txn, home, None))

    async def _write_alone(self, part: Part) -> None:
        """Who is refused knows its own write by its name, which is gone once another has written.

        Then Changed is raised although it was written, and the conditions decide that hold by then.
        """
        by = _name()
        try:
            await self._container.write(part.pk, [_made(step, by) for step in part.steps])
        except Refused as error:
            documents = await self.documents([step.key for step in part.steps])
            if not any(document.by == by for document in documents.values()):
                raise Changed from error

    async def _write_across(self, home: Part, others: Sequence[Part]) -> None:
        txn, began = _name(), monotonic()
        placed = await asyncio.gather(
            *(self._place(txn, home.pk, part) for part in others), return_exceptions=True
        )
        failures = [each for each in placed if isinstance(each, BaseException)]
        marked = [each for each in placed if not isinstance(each, BaseException)]
        if failures or monotonic() - began > COMMIT_WITHIN_S:
            # Without a commit on its way there is nothing that a note would have to forbid. What
            # cannot be taken away now, others will end.
            with contextlib.suppress(Unavailable):
                await self._release(marked, txn, forward=False)
            raise failures[0] if failures else Changed
        note = _note(home.pk, txn, others)
        etag = ""
        try:
            etag = await self._commit(home, note, txn)
        except (Changed, Unavailable):
            if await self._aborted(home.pk, txn):
                await self._release(marked, txn, forward=False)
                raise
        # It has happened; what cannot be done now, others will do.
        with contextlib.suppress(Unavailable, Refused):
            await self._release(marked, txn, forward=True)
            if etag:  # else its answer was lost, and the sweep lets the note expire
                await self._container.write(home.pk, [delete(note["id"], etag)])

    async def _place(self, txn: str, home: str, part: Part) -> list[Document]:
        """The documents with intents on them. Raises Changed."""
        marked = [_marked(step, Intent(txn, home, step.after)) for step in part.steps]
        asked = [_put(step.before, each) for step, each in zip(part.steps, marked, strict=True)]
        try:
            etags = await self._container.write(part.pk, asked)
        except Refused:  # unless it was made before, and the answer lost
            etags = []
        if etags and all(etags):
            return [
                msgspec.structs.replace(each, etag=etag)
                for each, etag in zip(marked, etags, strict=True)
            ]
        found = list((await self.documents([each.key for each in marked])).values())
        if len(found) < len(marked) or any(_txn_of(each) != txn for each in found):
            raise Changed
        return found

    async def _commit(self, home: Part, note: Json, txn: str) -> str:
        """The note's etag. Raises Changed, also where an answer was lost and it is committed."""
        made = [_made(step, txn) for step in home.steps]
        try:
            return (await self._container.write(home.pk, [*made, create(note)]))[-1]
        except Refused as error:
            raise Changed from error

    async def _aborted(self, home: str, txn: str) -> bool:
        """See to it that it cannot be committed any more; False if it has been."""
        note = _expiring({"id": _note_id(txn), "pk": home, "aborted": True})
        try:
            await self._container.write(home, [create(note)])
        except Refused:
            there = await self._container.read(home, note["id"])
            return there is not None and there["aborted"]
        return True

    async def _release(
        self, documents: Sequence[Sequence[Document]], txn: str, *, forward: bool
    ) -> None:
        """Take the intents from documents, those of each partition together."""
        ends = await asyncio.gather(
            *(self._release_some(some, txn, forward=forward) for some in documents),
            return_exceptions=True,
        )
        for failure in filter(None, ends):
            raise failure

    async def _release_some(
        self, documents: Sequence[Document], txn: str, *, forward: bool
    ) -> None:
        keys = [document.key for document in documents]
        for attempt in range(TRIES):
            standing = [document for document in documents if _txn_of(document) == txn]
            if not standing:
                return
            try:
                released = [_released(document, forward=forward) for document in standing]
                await self._container.write(keys[0].pk, released)
            except Refused:
                # Others are at it, too.
                await pause(PAUSE_S, attempt)
                documents = list((await self.documents(keys)).values())
            else:
                return
        raise Unavailable(
            f"Cosmos DB: {TRIES} tries to end a transaction met others.", code="cosmos_unavailable"
        )

    async def documents(self, keys: Sequence[Key]) -> dict[Key, Document]:
        """Those that there are, with intents and ghosts."""
        found = await asyncio.gather(*(self._container.read(key.pk, id_of(key.sk)) for key in keys))
        return {key: read(json) for key, json in zip(keys, found, strict=True) if json is not None}


def is_note(json: Mapping[str, Any]) -> bool:
    """Whether this is no item, but says what became of a transaction."""
    return json["id"].startswith(NOTE)


def _note(home: str, txn: str, others: Sequence[Part]) -> Json:
    """That it is committed, and where its intents are."""
    parts = [[part.pk, [step.key.sk for step in part.steps]] for part in others]
    return {"id": _note_id(txn), "pk": home, "aborted": False, "parts": parts, "open": txn}


def _expiring(note: Json) -> Json:
    kept = {name: value for name, value in note.items() if name != "open"}
    return {**kept, "ttl": NOTE_EXPIRES_S}


def _note_id(txn: str) -> str:
    """The colon is in no item's id."""
    return f"{NOTE}{txn}"


def _name() -> str:
    return secrets.token_hex(16)


def _txn_of(document: Document) -> str | None:
    return None if document.intent is None else document.intent.txn


def _weight(step: Step) -> int:
    before = None if step.before is None else step.before.item
    return size_of(before) + size_of(step.after)


def _marked(step: Step, intent: Intent) -> Document:
    if step.before is None:
        return Document(step.key, None, intent=intent)
    return msgspec.structs.replace(step.before, intent=intent)


def _put(before: Document | None, after: Document) -> Operation:
    return create(written(after)) if before is None else replace(written(after), before.etag)


def _made(step: Step, by: str) -> Operation:
    """The step itself, where no others take part or all others are agreed."""
    if step.after is None:
        assert step.before is not None  # noqa: S101 - what is not there need not go
        return delete(step.before.id, step.before.etag)
    return _put(step.before, Document(step.key, step.after, by))


def _released(document: Document, *, forward: bool) -> Operation:
    assert document.intent is not None  # noqa: S101 - it is asked for those that have one
    item = document.intent.to if forward else document.item
    if item is None:
        return delete(document.id, document.etag)
    by = document.intent.txn if forward else document.by
    return replace(written(Document(document.key, item, by)), document.etag)
