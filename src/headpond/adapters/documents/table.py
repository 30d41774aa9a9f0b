"""Everything durable in one table of documents, whoever keeps it.

An item is found by `pk` and `sk`; what changes together lies under one `pk` or in one transaction.

    pk                    sk                what it is
    job#ID                job               a record: JSON, its version, what indexes need
                          request#0000 …    the request in pieces of 300 KB; then response#0000 …
                          request#NAME      or where it lies in the object store; then response#NAME
                          rest              that it has pieces left though it is erased
    key#[TEAM,KEY]        -                 an idempotency key, and the job that it stands for
    try#FINGERPRINT       ID                the job of an SDK's try, and how often it was tried
    endpoints#TEAM        ID                an endpoint of a team
    endpoint#ID           -                 whose it is
                          dispatch#EVENT    what it is to be told, or was
    batch#ID  file#ID     -                 a record, JSON
    blob#NAME             -                 the file that names it, or that none ever will
    apikeys               DIGEST            a key for the gateway
    roster                WORKER            a worker's last report
    stream#ID             0000000001 …      what a running job said; `head` says that there is one
    marks                 RULE              how far retention has come
    arrivals              LANE              how many jobs were ever sent there, and their tokens
    scaling               POOL              a pool's scaling between two decisions
    steps#POOL            TIME#…            a decision of the autoscaler, and why

Three sparse indexes hold keys alone; what they lead to is read from the table, consistently. So a
change of an item that moves in no index costs no index anything.

    agenda   (agenda, at)    what waits for a time, or is read in the order of time:
                             accepted, deadline, open, ended, dead (a job is in one of these),
                             key, try, stream, file, batch, batch-ended, dispatch, told,
                             step, coming, going (objects that no record names),
                             rest (pieces of erased bodies)
    family   (family, name)  lists: a team's jobs, batches, files; an endpoint's dispatches
    lines    (line_of, line) a batch's jobs by state

An index of everything that ends now would be written in one place, and a service takes a thousand
writes a second there, or fewer. What jobs write is therefore spread over `SHARDS` partitions by a
hash of the id, and read from all of them together.

Every change is conditional.

What counts for nothing from some time on says so in an attribute `expires`, whole Unix seconds: a
service that knows a time to live may remove it by itself from then on. Tries have it, dispatches
that were told, and steps of scaling. Nothing relies on it. Whoever reads looks at the item's own
end, which comes `SPARE_S` before, and a duty of ours removes what is still there `LEFT_S` after it.

Teams, idempotency keys and callbacks are as long as their limits let them be, and services bound
what is found by: DynamoDB a `pk` to 2,048 bytes, a `sk` and what sorts in an index to 1,024;
Firestore names of documents and what is asked of an index to 1,500; Cosmos DB ids to 1,023. All is
kept to that by `domain/bounded.py`, which leaves alone what fits. A `pk` and a `sk` are bounded by
each service's own table, to its own limits: what it would have refused, and nothing else, has
another name than in older releases. What sorts is bounded here, for all of them.
"""

import math
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from headpond.domain.bounded import bounded

Value: TypeAlias = str | int | bytes
Item: TypeAlias = dict[str, Value]

SHARDS = 4
"""May be raised, never lowered: what was written before stays in partitions that are read."""

SORT_BYTES = 1_024
"""What sorts in an index has no more, in any service."""

NAME_BYTES = 900
"""So much of it may be a name beside one or two times."""

SPARE_S = 4 * 86_400.0
"""So much later than its end does an item expire.

An older release moves the end alone: when a try is made again, or a dispatch is told again, which
takes up to four days. What it moved must not be gone before.
"""

LEFT_S = 7 * 86_400.0
"""So long after its end is an item left to its service, which may take days to remove it."""

LATEST = 253_402_300_799
"""The end of the year 9999: Firestore takes no later time."""

INDEXES = {
    "agenda": ("agenda", "at"),
    "family": ("family", "name"),
    "lines": ("line_of", "line"),
}


class Key(msgspec.Struct, frozen=True):
    """Where an item is, and what an index had beside it."""

    pk: str
    sk: str = "-"
    sort: str = ""


class Put(msgspec.Struct, frozen=True):
    """Write an item: in any case, or iff there is none.

    Where an answer got lost, "in any case" may be once more, over what others wrote meanwhile. So
    what is new is written iff there is none, and who added it may be refused by itself.
    """

    item: Mapping[str, Value]
    absent: bool = False


class Change(msgspec.Struct, frozen=True):
    """Set attributes of an item iff it has those of `standing`; None removes one."""

    key: Key
    to: Mapping[str, Value | None]
    standing: Mapping[str, Value]


class Delete(msgspec.Struct, frozen=True):
    """Remove an item, if it is there."""

    key: Key


class Check(msgspec.Struct, frozen=True):
    """Nothing is written unless the item has these attributes."""

    key: Key
    standing: Mapping[str, Value]


Write = Put | Change | Delete | Check


def shard_of(name: str) -> int:
    """The partition of an index that belongs to this id."""
    return zlib.crc32(name.encode()) % SHARDS


def at(seconds: float, name: str = "") -> str:
    """A time that sorts as text, and a name that tells those of one moment apart."""
    return f"{max(0.0, seconds):017.6f}#{bounded(name, NAME_BYTES)}"


def just_after(seconds: float) -> str:
    """Above every `at` of this moment, below those of later ones."""
    return at(seconds, "\U0010ffff")


def expires(end: float) -> int:
    """When an item that ends then may be removed by its service."""
    return math.ceil(min(end + SPARE_S, LATEST))


def none_from(first: str, last: str) -> bool:
    """Whether no text is from the first to the last; an end that is not given is open."""
    return bool(last) and first > last


def none_between(after: str, before: str) -> bool:
    """Whether no text is strictly between the two; an end that is not given is open."""
    return bool(before) and after >= before


def raw(item: Item, name: str = "record") -> bytes:
    """The bytes that an item has under this name."""
    value = item[name]
    assert isinstance(value, bytes)  # noqa: S101 - nothing else is written there
    return value


class Table(Protocol):
    """Every verb reads and writes consistently, but for the indexes; each raises Unavailable.

    A range that ends before it begins holds nothing, and the service is not asked: some refuse it.
    """

    @property
    def body_bytes(self) -> int | None:
        """What a write has room for of a body beside a record and its notices; None is no limit."""
        ...

    async def get(self, key: Key) -> Item | None:
        """The item, None if there is none."""
        ...

    async def get_many(self, keys: Sequence[Key]) -> dict[str, Item]:
        """The items that there are, by their `pk`: of each partition one is asked for."""
        ...

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
        """Items of a partition in order: whose `sk` begins so, or from the first to the last."""
        ...

    def look(
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
        """What an index has there, strictly between the two, as it was a moment ago.

        `at_once` are read in one call, for who may not want more.
        """
        ...

    async def everything(self, sk: str) -> list[Item]:
        """All items with this `sk`, by reading the whole table: for tests and operators."""
        ...

    async def write(self, *writes: Write) -> frozenset[int]:
        """All of the writes or none; the numbers of those whose conditions failed, if any.

        Each is about another item.
        """
        ...

    async def delete_many(self, keys: Iterable[Key]) -> None:
        """Remove items, each by itself."""
        ...
