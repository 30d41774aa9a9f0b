"""Endpoints of webhooks in a SQLite file."""

import sqlite3

import msgspec
from typing_extensions import override

from headpond.adapters.sqlite import dispatches as steps
from headpond.adapters.sqlite import foreign
from headpond.adapters.sqlite.connection import sql
from headpond.adapters.sqlite.database import Database
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.ports.endpoints import EndpointStore

_encode = msgspec.json.Encoder().encode


class SqliteEndpointStore(EndpointStore):
    """Endpoints of every process that opens the file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def add(self, endpoint: Endpoint) -> bool:
        row = (
            endpoint.id,
            endpoint.version,
            endpoint.team,
            endpoint.created_at,
            _encode(endpoint).decode(),
        )
        added = await self._database.write(
            lambda connection: connection.execute(sql("add_endpoint"), row).rowcount
        )
        return added > 0

    @override
    async def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        row = await self._database.read(
            lambda connection: connection.execute(sql("get_endpoint"), (endpoint_id,)).fetchone()
        )
        return None if row is None else steps.endpoint_of(row[0])

    @override
    async def of_team(self, team: str) -> list[Endpoint]:
        return await self._database.read(lambda connection: steps.endpoints_of(connection, team))

    @override
    async def swap(self, after: Endpoint) -> bool:
        def swap(connection: sqlite3.Connection) -> bool:
            record = foreign.rewritten(connection, after, "get_endpoint", after.id)
            row = (after.version, record, after.id, after.version - 1)
            return connection.execute(sql("swap_endpoint"), row).rowcount > 0

        return await self._database.write(swap)

    @override
    async def remove(self, endpoint_id: EndpointId) -> bool:
        def remove(connection: sqlite3.Connection) -> bool:
            connection.execute(sql("remove_dispatches"), (endpoint_id,))
            return connection.execute(sql("remove_endpoint"), (endpoint_id,)).rowcount > 0

        return await self._database.write(remove)
