"""Endpoints of webhooks in a PostgreSQL database."""

import msgspec
from typing_extensions import override

from headpond.adapters.postgres import dispatches as steps
from headpond.adapters.postgres.connection import Connection, run
from headpond.adapters.postgres.database import Database
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.ports.endpoints import EndpointStore

_encode = msgspec.json.Encoder().encode


class PostgresEndpointStore(EndpointStore):
    """Endpoints of every process that opens the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, endpoint: Endpoint) -> bool:
        added = await self._database.write(
            "add_endpoint",
            endpoint.id,
            endpoint.version,
            endpoint.team,
            endpoint.created_at,
            _encode(endpoint).decode(),
        )
        return bool(added)

    @override
    async def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        rows = await self._database.read("get_endpoint", endpoint_id)
        return steps.endpoint_of(rows[0][0]) if rows else None

    @override
    async def of_team(self, team: str) -> list[Endpoint]:
        rows = await self._database.read("endpoints_of_team", team)
        return [steps.endpoint_of(record) for (record,) in rows]

    @override
    async def swap(self, after: Endpoint) -> bool:
        return bool(
            await self._database.write(
                "swap_endpoint", after.id, after.version, _encode(after).decode()
            )
        )

    @override
    async def remove(self, endpoint_id: EndpointId) -> bool:
        async def remove(connection: Connection) -> bool:
            # It first: that waits for whoever is just adding dispatches.
            removed = await run(connection, "remove_endpoint", endpoint_id)
            await run(connection, "remove_dispatches", endpoint_id)
            return bool(removed)

        return await self._database.transaction(remove)
