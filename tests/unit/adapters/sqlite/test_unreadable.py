"""A record that cannot be read harms nobody else and is not lost."""

import sqlite3
from itertools import count

import pytest

from headpond.adapters.sqlite import lanes
from headpond.adapters.sqlite.batches import SqliteBatchLines, SqliteBatchStore
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.dead_letters import SqliteDeadLetters
from headpond.adapters.sqlite.delivery import ASIDE_S, SqliteDelivery
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.domain.batch import RunnerName
from headpond.domain.job import Ticket
from headpond.domain.lane import lanes_of
from headpond.ports.dead_letters import DeadQuery
from headpond.ports.jobs import JobQuery
from headpond.testing.batches_suite import a_batch
from headpond.testing.clocks import ManualClock
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.queue_suite import BATCH
from headpond.testing.records import a_job, new_job


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


async def test_it_costs_no_other_claim_its_heartbeat(database: Database) -> None:
    clock, tickets = ManualClock(), count()
    delivery = SqliteDelivery(
        database,
        clock=clock,
        new_ticket=lambda: Ticket(f"{next(tickets)}"),
        lease_s=30,
        max_lost_leases=5,
    )
    for _ in range(2):
        await delivery.submit(new_job())
    broken, sound = await delivery.claim(lanes_of("default"), worker="w", limit=2)
    await database.write(
        lambda connection: connection.execute(
            "UPDATE jobs SET record = '{}', version = version + 1 WHERE id = ?", (broken.job.id,)
        )
    )
    assert await delivery.renew([broken, sound]) == [sound]


async def test_batches_and_lines_beside_it_go_on(database: Database) -> None:
    clock = ManualClock()
    batches, jobs = SqliteBatchStore(database), SqliteJobStore(database, clock)
    broken, sound = a_batch(), a_batch()
    damaged, line = a_job(batch=sound.id), a_job(batch=sound.id)
    for batch in (broken, sound):
        await batches.add(batch)
    for job in (damaged, line):
        await jobs.add(new_job(job))

    def damage(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE batches SET record = '{}' WHERE id = ?", (broken.id,))
        connection.execute("UPDATE jobs SET record = '{}' WHERE id = ?", (damaged.id,))

    await database.write(damage)
    assert await batches.due(RunnerName("r"), clock.now(), 9) == [sound]
    assert await SqliteBatchLines(database).unended(sound.id, 9) == [line]
