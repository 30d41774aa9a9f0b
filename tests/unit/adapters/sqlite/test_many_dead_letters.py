"""10,000 dead letters are triaged and redriven in under a minute. SPEC Q5."""

import time
from itertools import count

from headpond.adapters.sqlite import lanes, records
from headpond.adapters.sqlite.batches import SqliteBatchStore
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.dead_letters import SqliteDeadLetters
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.domain.job import JobError, JobState, Ticket
from headpond.ports.jobs import JobQuery
from headpond.services.dead_letters import Selection, Triage
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH
from headpond.testing.records import a_job, new_job

MANY = 10_000


async def test_ten_thousand_dead_letters_take_less_than_a_minute(database: Database) -> None:
    clock, tickets = ManualClock(), count()
    jobs = SqliteJobStore(database, clock)
    delivery = SqliteDelivery(
        database,
        clock=clock,
        new_ticket=lambda: Ticket(f"again-{next(tickets)}"),
        lease_s=30,
        max_lost_leases=5,
    )

    def bury_all() -> None:
        for number in range(MANY):
            running = a_job().claimed("w", clock.now())
            error = JobError(f"engine_{number % 7}", f"It took {number}.5 s for '{number}'.")
            dead = running.buried(clock.now() - 10, error)
            records.add(database._writer, [new_job(dead)], clock.now())

    await database.write(lambda _: bury_all())
    triage = Triage(
        SqliteDeadLetters(database),
        jobs,
        SqliteBatchStore(database),
        delivery,
        clock,
        max_redrives=3,
        per_second=1e6,
    )

    began = time.perf_counter()
    groups = await triage.groups(Selection())
    grouped = time.perf_counter()
    tallies = [await triage.redrive(Selection(cause=group.cause.id)) for group in groups]
    redriven = time.perf_counter()

    print(  # noqa: T201 - the figures are what is asked for
        f"{MANY} dead letters: grouped in {grouped - began:.2f} s, "
        f"redriven by group in {redriven - grouped:.2f} s"
    )
    assert [group.count for group in groups] == [tally.done for tally in tallies]
    assert sum(tally.done for tally in tallies) == MANY
    assert await jobs.find(JobQuery(state=JobState.DEAD)) == []
    depth = await database.read(
        lambda connection: lanes.depth(connection, BATCH, now=clock.now() + 1)
    )
    assert depth.ready == MANY
    assert redriven - began < 60
