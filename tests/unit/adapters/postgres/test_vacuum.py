"""Long drains leave nothing behind that the next receipt would walk past."""

import asyncio

import pytest

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.postgres import vacuum
from headpond.adapters.postgres.connection import Connection, Limits, connect
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.queue import PostgresQueue
from headpond.adapters.postgres.vacuum import Vacuum
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import lanes_of
from headpond.errors import Unavailable
from headpond.ports.queue import Message
from tests.postgres import PostgresServer

LANES = lanes_of("default")
VACUUMS = """
SELECT vacuum_count FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND relname = 'messages'
"""


def _message(number: int) -> Message:
    return Message(JobId(f"job_{number}"), Ticket("ticket"), LANES[0], "team", 1, 1.0)


async def _vacuums(database: Database) -> int:
    ((count,),) = await database.on_connection(lambda connection: connection.fetch(VACUUMS))
    return count


async def test_who_takes_many_messages_has_the_table_vacuumed_once(
    postgres: PostgresServer, postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "EVERY", 8)
    before = await _vacuums(postgres_database)
    receiver = Database(postgres.url)
    await receiver.open()
    queue = PostgresQueue(receiver, SystemClock())
    await queue.send([_message(number) for number in range(12)])
    for _ in range(3):
        await queue.receive(LANES, limit=4, lease_s=60)
    while await _vacuums(postgres_database) == before:  # noqa: ASYNC110 - the server counts
        await asyncio.sleep(0.01)
    await receiver.close()
    assert await _vacuums(postgres_database) == before + 1


async def test_a_vacuum_that_fails_is_told_and_the_next_one_begins(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(vacuum, "EVERY", 1)
    tries = 0

    async def connection() -> Connection:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Unavailable("no server", code="store_unavailable")
        return await connect(postgres.url, Limits())

    vacuuming = Vacuum(connection)
    with caplog.at_level("INFO"):
        while tries < 2:
            vacuuming.count(1)
            await asyncio.sleep(0)
    await vacuuming.close()
    assert "no server" in caplog.text


async def test_closing_gives_up_a_vacuum_that_takes_its_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "EVERY", 1)
    begun = asyncio.Event()

    async def connection() -> Connection:
        begun.set()
        return await connect(postgres.url, Limits())

    vacuuming = Vacuum(connection)

    async def slowly(connection: Connection, _: str) -> object:
        return await connection.fetch("SELECT pg_sleep(9)")

    monkeypatch.setattr(vacuum, "run", slowly)
    vacuuming.count(1)
    await begun.wait()
    async with asyncio.timeout(5):
        await vacuuming.close()
