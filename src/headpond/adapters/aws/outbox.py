"""The outbox in a table of DynamoDB.

All that is pending for one endpoint is in one partition of the agenda, beside that of others. Which
endpoints have something due is therefore found by walking over it, past what is due for those that
are known already.
"""

from collections.abc import AsyncIterator

from typing_extensions import override

from headpond.adapters.aws.agenda import agenda, up_to
from headpond.adapters.aws.dispatches import changed, dispatch_of, key_of, notices
from headpond.adapters.aws.records import agenda_of
from headpond.adapters.aws.table import Key, Table, at, just_after, shard_of
from headpond.domain.dispatch import Dispatch
from headpond.domain.webhook_endpoint import EndpointId
from headpond.domain.webhook_event import Event, EventId
from headpond.ports.outbox import DispatchQuery, Outbox, Untold


class DynamoOutbox(Outbox):
    """Jobs and batches that end leave their notices in it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @override
    async def publish(self, event: Event) -> None:
        for notice in await notices(self._table, event):
            await self._table.write(notice)

    @override
    async def due(self, now: float, *, limit: int) -> list[EndpointId]:
        found: dict[EndpointId, None] = {}
        async for key in agenda(self._table, "dispatch", before=just_after(now)):
            found[_endpoint_in(key)] = None
            if len(found) == limit:
                break
        return list(found)

    @override
    async def lease(
        self, endpoint: EndpointId, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        partition = agenda_of("dispatch", shard_of(endpoint))
        keys = self._table.look("agenda", partition, before=just_after(now))
        mine = (key async for key in keys if _endpoint_in(key) == endpoint)
        leased: list[Dispatch] = []
        for key in await up_to(mine, limit):
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
        return not await self._table.write(changed(after))

    @override
    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        item = await self._table.get(key_of(endpoint, event_id))
        return None if item is None else dispatch_of(item)

    @override
    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        found: list[Dispatch] = []
        async for key in self._newest_first(query):
            item = await self._table.get(key)
            if item is None:
                continue
            dispatch = dispatch_of(item)
            if query.state is None or dispatch.state == query.state:
                found.append(dispatch)
            if len(found) == query.limit:
                break
        return found

    @override
    async def untold(self) -> Untold:
        happened = [float(key.sort.split("#")[1]) async for key in agenda(self._table, "dispatch")]
        return Untold(len(happened), min(happened, default=None))

    @override
    async def forget(self, ended_before: float, *, limit: int) -> int:
        told = agenda(self._table, "told", before=at(ended_before))
        keys = await up_to(told, limit)
        await self._table.delete_many(keys)
        return len(keys)

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


def _endpoint_in(key: Key) -> EndpointId:
    return EndpointId(key.pk.removeprefix("endpoint#"))
