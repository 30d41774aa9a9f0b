"""What is read in the order of time: the partitions of the agenda, and what they lead to."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from headpond.adapters.documents import records
from headpond.adapters.documents.table import SHARDS, Item, Key, Table
from headpond.domain.job import Job


def agenda(
    table: Table, *kinds: str, after: str = "", before: str = "", at_once: int | None = None
) -> AsyncIterator[Key]:
    """What the agenda has of these kinds between the two, the earliest first.

    `at_once` are read in one call, for who may not want more.
    """
    return merged(
        [
            table.look(
                "agenda",
                records.agenda_of(kind, shard),
                after=after,
                before=before,
                at_once=at_once,
            )
            for kind in kinds
            for shard in range(SHARDS)
        ]
    )


async def merged(
    lists: Sequence[AsyncIterator[Key]], *, reverse: bool = False
) -> AsyncIterator[Key]:
    """The keys of lists that are in the order of `sort`, all together in that order, each once."""
    choose = max if reverse else min
    first = await asyncio.gather(*(anext(each, None) for each in lists))
    heads = [(key, each) for key, each in zip(first, lists, strict=True) if key is not None]
    last: Key | None = None
    while heads:
        head = choose(heads, key=lambda entry: entry[0].sort)
        heads.remove(head)
        key, rest = head
        if key != last:
            yield key
        last = key
        following = await anext(rest, None)
        if following is not None:
            heads.append((following, rest))


async def up_to(keys: AsyncIterator[Key], limit: int | None) -> list[Key]:
    """At most so many of the keys."""
    some: list[Key] = []
    if limit == 0:
        return some
    async for key in keys:
        some.append(key)
        if len(some) == limit:
            break
    return some


async def jobs_behind(
    table: Table, keys: AsyncIterator[Key], at_once: int = 100
) -> AsyncIterator[Job]:
    """The records that the keys lead to, in their order; so many are read in one call."""
    while some := await up_to(keys, at_once):
        for job in await jobs_at(table, some):
            yield job


async def jobs_at(table: Table, keys: Sequence[Key]) -> list[Job]:
    """The records that are there and can be read, in the order of the keys."""
    items = await items_at(table, keys)
    return [job for item in items if (job := records.readable(item)) is not None]


async def items_at(table: Table, keys: Sequence[Key]) -> list[Item]:
    """What is there, in the order of the keys. What moved may have two of them, and is one."""
    places = {key.pk: key for key in keys}
    items = await table.get_many(list(places.values()))
    return [items[pk] for pk in places if pk in items]
