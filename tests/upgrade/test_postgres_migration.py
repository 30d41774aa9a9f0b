"""Who has a PostgreSQL database open goes on while a newer release brings it up to date."""

from collections.abc import AsyncGenerator
from functools import partial
from itertools import count

import pytest

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.postgres import schema
from headpond.adapters.postgres.connection import Connection
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.delivery import PostgresDelivery
from headpond.domain.job import Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.testing.records import RESPONSE, new_job
from tests.postgres import PostgresServer

LANES = lanes_of("default")
CLOCK = SystemClock()


async def _opened(url: str) -> tuple[Database, PostgresDelivery]:
    database, tickets = Database(url), count(1)
    await database.open()
    delivery = PostgresDelivery(
        database,
        clock=CLOCK,
        new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
        lease_s=60.0,
        max_lost_leases=5,
    )
    return database, delivery


async def _runs_one(delivery: PostgresDelivery) -> bool:
    (claim,) = await delivery.claim(LANES, worker="worker", limit=1)
    after = claim.job.succeeded(CLOCK.now(), engine="engine", usage=Usage(1, 2))
    return await delivery.settle(claim, Settlement(job=after, response=RESPONSE))


@pytest.fixture
async def url(postgres: PostgresServer, postgres_database: Database) -> AsyncGenerator[str]:
    """Of a schema with nothing in it."""
    await postgres_database.on_connection(partial(_execute, script="CREATE SCHEMA before"))
    yield f"{postgres.url}?search_path=before"
    await postgres_database.on_connection(partial(_execute, script="DROP SCHEMA before CASCADE"))


async def _execute(connection: Connection, *, script: str) -> None:
    await connection.execute(script)


async def test_a_process_goes_on_through_the_migration(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        steps = schema.migrations()[:-1]
        patch.setattr(schema, "migrations", lambda: steps)
        database, before = await _opened(url)
    for _ in range(20):
        await before.submit(new_job())
    # As often as it takes the server to keep the plans of statements.
    assert all([await _runs_one(before) for _ in range(8)])
    newer, after = await _opened(url)
    assert all([await _runs_one(before) and await _runs_one(after) for _ in range(6)])
    assert await before.claim(LANES, worker="worker", limit=1) == []
    await newer.close()
    await database.close()
