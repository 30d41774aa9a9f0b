"""The outbox in a table of documents.

The agenda has what is pending by destination, and for each by its time. So a look goes from one
destination to the next, however much is pending for either.
"""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.adapters.documents.agenda import agenda, merged, up_to
from headpond.adapters.documents.dispatches import (
    beginning,
    changed,
    dispatch_of,
    key_of,
    notices,
    pending_at,
    place_after,
    place_of,
)
from headpond.adapters.documents.records import agenda_of
from headpond.adapters.documents.table import (
    LEFT_S,
    SHARDS,
    Key,
    Table,
    at,
    just_after,
    shard_of,
)
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch
from headpond.domain.webhook_endpoint import EndpointId
from headpond.domain.webhook_event import Event, EventId
from headpond.ports.clock import Clock
from headpond.ports.outbox import DispatchQuery, Look, Outbox, Untold


class DocumentOutbox(Outbox):
    """Jobs and batches that end leave their notices in it.

    What ended `keep_s` ago is not told of any more, though it may be there.
    """

    def __init__(self, table: Table, clock: Clock, keep_s: float) -> None:
        self._table = table
        self._clock = clock
        self._keep_s = keep_s

    @override
    async def publish(self, event: Event) -> None:
        for notice in await notices(self._table, [event]):
            await self._table.write(notice)

    @override
    async def look(self, now: float, *, limit: int, after: Destination | None = None) -> Look:
        lists = [self._destinations(shard, after) for shard in range(SHARDS)]
        keys = await up_to(merged(lists), limit + 1)
        seen = [pending_at(key) for key in keys[:limit]]
        due = [pending.to for pending in seen if pending.due_at <= now]
        return Look(due, seen[-1].to if len(keys) > limit else None)

    @override
    async def lease(
        self, destination: Destination, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        leased: list[Dispatch] = []
        for key in await up_to(self._due(destination, now, limit), limit):
            item = await self._table.get(key)
            dispatch = None if item is None else dispatch_of(item)
            if dispatch is None or dispatch.due_at is None or dispatch.due_at > now:
                continue
            after = dispatch.leased(now, lease_s)
            if await self.swap(after):
                leased.append(after)
        return leased

    @override
    async def swap(self, after: Dispatch) -> bool:
        return not await self._table.write(changed(after, self._keep_s))

    @override
    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        return await self._kept(key_of(endpoint, event_id))

    @override
    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        found: list[Dispatch] = []
        async for key in self._newest_first(query):
            dispatch = await self._kept(key)
            if dispatch is not None and query.state in {None, dispatch.state}:
                found.append(dispatch)
            if len(found) == query.limit:
                break
        return found

    @override
    async def untold(self) -> Untold:
        happened = [pending_at(key).happened_at async for key in agenda(self._table, "dispatch")]
        return Untold(len(happened), min(happened, default=None))

    @override
    async def forget(self, ended_before: float, *, limit: int) -> int:
        told = agenda(self._table, "told", before=at(ended_before - LEFT_S))
        keys = await up_to(told, limit)
        await self._table.delete_many(keys)
        return len(keys)

    async def _kept(self, key: Key) -> Dispatch | None:
        item = await self._table.get(key)
        dispatch = None if item is None else dispatch_of(item)
        if dispatch is None or dispatch.ended_at is None:
            return dispatch
        return dispatch if dispatch.ended_at + self._keep_s > self._clock.now() else None

    async def _due(self, to: Destination, now: float, limit: int) -> AsyncIterator[Key]:
        """What the agenda has as due there."""
        place = place_of(to)
        begin = beginning(place)
        due = self._table.look(
            "agenda",
            agenda_of("dispatch", shard_of(to.endpoint)),
            after=begin,
            before=place + just_after(now) if begin == place else place_after(to),
            at_once=limit,
        )
        async for key in due:
            # Others begin like a place that is too long to be asked for.
            if key.sort.startswith(place):
                yield key

    async def _destinations(self, shard: int, after: Destination | None) -> AsyncIterator[Key]:
        """The first that is pending for each destination: a call leads from one to the next."""
        bound = "" if after is None else place_after(after)
        while True:
            pending = self._table.look(
                "agenda", agenda_of("dispatch", shard), after=bound, at_once=1
            )
            key = await anext(pending, None)
            if key is None:
                return
            yield key
            bound = place_after(pending_at(key).to)

    async def _newest_first(self, query: DispatchQuery) -> AsyncIterator[Key]:
        before = ""
        if query.after is not None:
            last = await self.get(query.endpoint, query.after)
            if last is None:
                return
            before = at(last.event.occurred_at, last.event.id)
        family = f"dispatches#{query.endpoint}"
        async for key in self._table.look("family", family, before=before, reverse=True):
            yield key
