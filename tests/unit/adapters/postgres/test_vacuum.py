"""Long drains leave nothing behind that the next receipt would walk past."""

import pytest

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.postgres import vacuum
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.queue import PostgresQueue
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import lanes_of
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
    await receiver.close()  # whatever was begun has ended then
    assert await _vacuums(postgres_database) == before + 1
