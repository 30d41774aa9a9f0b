"""Headpond on PostgreSQL, with its own worker around the queue and without."""

import asyncio
from dataclasses import replace

import asyncpg
from typing_extensions import override

from benchmarks.subjects.headpond import LEASE_S, Headpond, HeadpondDelivery, Pond
from benchmarks.subjects.subject import Facts
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.delivery import PostgresDelivery
from headpond.domain.job import Ticket

COUNT = "SELECT count(*) FROM jobs INNER JOIN responses USING (seq) WHERE state = 'succeeded'"


class HeadpondPostgres(Headpond):
    """The product's own worker, 64 jobs in flight."""

    @override
    def facts(self) -> Facts:
        return replace(super().facts(), durability=self.assignment.server_durability)

    @override
    def open_producer(self) -> None:
        asyncio.run(self._ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
        super().open_producer()

    @override
    def stored_results(self) -> int:
        return self._run(self._ask(COUNT))

    @override
    async def _open(self) -> Pond:
        pond = await super()._open()  # for its clock and, not used here, its streams
        database = Database(self.assignment.server_url)
        await database.open()
        pond.delivery = PostgresDelivery(
            database,
            clock=pond.clock,
            new_ticket=lambda: Ticket(pond.new_id()),
            lease_s=LEASE_S,
            max_lost_leases=5,
        )
        return pond

    async def _ask(self, statement: str) -> int:
        connection = await asyncpg.connect(self.assignment.server_url)
        try:
            if statement == COUNT:
                return await connection.fetchval(statement)
            await connection.execute(statement)
            return 0
        finally:
            await connection.close()


class HeadpondPostgresDelivery(HeadpondPostgres, HeadpondDelivery):
    """The queue without the worker around it."""
