"""What webhooks have to tell, in a SQLite file."""

from typing_extensions import override

from headpond.adapters.sqlite import dispatches as steps
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch
from headpond.domain.webhook_endpoint import EndpointId
from headpond.domain.webhook_event import Event, EventId
from headpond.ports.outbox import DispatchQuery, Look, Outbox, Untold


class SqliteOutbox(Outbox):
    """Processes on one machine share it. Jobs and batches add their events where they end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def publish(self, event: Event) -> None:
        await self._database.write(lambda connection: steps.publish(connection, event))

    @override
    async def look(self, now: float, *, limit: int, after: Destination | None = None) -> Look:
        begin = after or Destination(EndpointId(""))
        parameters = {
            "now": now,
            # One more says whether there are more.
            "limit": limit + 1,
            "endpoint": begin.endpoint,
            "origin": begin.origin,
        }
        rows = await self._database.read(
            lambda connection: connection.execute(sql("look"), parameters).fetchall()
        )
        seen = [(Destination(endpoint, origin), due) for endpoint, origin, due in rows]
        return Look(
            due=[destination for destination, due in seen[:limit] if due],
            end=seen[limit - 1][0] if len(seen) > limit else None,
        )

    @override
    async def lease(
        self, destination: Destination, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        return await self._database.write(
            lambda connection: steps.lease(
                connection, destination, now=now, limit=limit, lease_s=lease_s
            ),
            synced=False,
        )

    @override
    async def swap(self, after: Dispatch) -> bool:
        return await self._database.write(lambda connection: steps.swap(connection, after))

    @override
    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        row = await self._database.read(
            lambda connection: connection.execute(
                sql("get_dispatch"), (endpoint, event_id)
            ).fetchone()
        )
        return None if row is None else steps.dispatch_of(row[0])

    @override
    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        parameters = {
            "endpoint": query.endpoint,
            "state": None if query.state is None else query.state.value,
            "after": query.after,
            "limit": query.limit,
        }
        rows = await self._database.read(
            lambda connection: connection.execute(sql("find_dispatches"), parameters).fetchall()
        )
        return [steps.dispatch_of(record) for (record,) in rows]

    @override
    async def untold(self) -> Untold:
        pending, oldest_at = await self._database.read(
            lambda connection: connection.execute(sql("untold_dispatches")).fetchone()
        )
        return Untold(pending, oldest_at)

    @override
    async def forget(self, ended_before: float, *, limit: int) -> int:
        return await self._database.write(
            lambda connection: (
                connection.execute(
                    sql("forget_dispatches"), {"ended_before": ended_before, "limit": limit}
                ).rowcount
            )
        )
