"""A record that cannot be read harms nobody else and is not lost."""

from itertools import count

import pytest

from headpond.adapters.sqlite import lanes
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.dead_letters import SqliteDeadLetters
from headpond.adapters.sqlite.delivery import ASIDE_S, SqliteDelivery
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.domain.job import Ticket
from headpond.domain.lane import lanes_of
from headpond.ports.dead_letters import DeadQuery
from headpond.ports.jobs import JobQuery
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.queue_suite import BATCH
from headpond.testing.records import new_job


async def test_its_message_is_set_aside(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clock, tickets = ManualClock(), count()
    jobs = SqliteJobStore(database, clock)
    delivery = SqliteDelivery(
        database,
        clock=clock,
        new_ticket=lambda: Ticket(f"{next(tickets)}"),
        lease_s=30,
        max_lost_leases=5,
    )
    broken = (await delivery.submit(new_job())).job
    sound = (await delivery.submit(new_job())).job
    dead = a_dead_job(clock.now())
    await jobs.add(new_job(dead))
    await database.write(
        lambda connection: connection.execute(
            "UPDATE jobs SET record = '{}' WHERE id IN (?, ?)", (broken.id, dead.id)
        )
    )

    claims = await delivery.claim(lanes_of("default"), worker="w", limit=9)
    assert [claim.job.id for claim in claims] == [sound.id]
    assert f"the record of {broken.id} cannot be read" in caplog.text
    assert [job.id for job in await jobs.find(JobQuery())] == [sound.id]
    assert [job async for job in SqliteDeadLetters(database).read(DeadQuery())] == []

    clock.advance(ASIDE_S)
    depth = await database.read(lambda connection: lanes.depth(connection, BATCH, now=clock.now()))
    assert depth.ready == 2
