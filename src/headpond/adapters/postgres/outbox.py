"""What webhooks have to tell, in a PostgreSQL database."""

from typing_extensions import override

from headpond.adapters.postgres import dispatches as steps
from headpond.adapters.postgres.database import Database
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch
from headpond.domain.webhook_endpoint import EndpointId
from headpond.domain.webhook_event import Event, EventId
from headpond.ports.outbox import DispatchQuery, Look, Outbox, Untold


class PostgresOutbox(Outbox):
    """Processes everywhere share it. Jobs and batches add their events where they end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def publish(self, event: Event) -> None:
        await self._database.transaction(
            lambda connection: steps.publish(connection, [(event, None)])
        )

    @override
    async def look(self, now: float, *, limit: int, after: Destination | None = None) -> Look:
        begin = after or Destination(EndpointId(""))
        # One more says whether there are more.
        rows = await self._database.read("look", now, begin.endpoint, begin.origin, limit + 1)
        seen = [(Destination(endpoint, origin), due) for endpoint, origin, due in rows]
        return Look(
            due=[destination for destination, due in seen[:limit] if due],
            end=seen[limit - 1][0] if len(seen) > limit else None,
        )

    @override
    async def lease(
        self, destination: Destination, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        return await self._database.transaction(
            lambda connection: steps.lease(
                connection, destination, now=now, limit=limit, lease_s=lease_s
            )
        )

    @override
    async def swap(self, after: Dispatch) -> bool:
        return await self._database.on_connection(lambda connection: steps.swap(connection, after))

    @override
    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        rows = await self._database.read("get_dispatch", endpoint, event_id)
        return steps.dispatch_of(rows[0][0]) if rows else None

    @override
    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        state = None if query.state is None else query.state.value
        rows = await self._database.read(
            "find_dispatches", query.endpoint, state, query.after, query.limit
        )
        return [steps.dispatch_of(record) for (record,) in rows]

    @override
    async def untold(self) -> Untold:
        ((pending, oldest_at),) = await self._database.read("untold_dispatches")
        return Untold(pending, oldest_at)

    @override
    async def forget(self, ended_before: float, *, limit: int) -> int:
        return len(await self._database.write("forget_dispatches", ended_before, limit))
