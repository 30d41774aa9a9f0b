"""Connections that break and servers that go away are `Unavailable`, and then it goes on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from itertools import count

import pytest

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.postgres.connection import Connection, Limits
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.delivery import PostgresDelivery
from headpond.adapters.postgres.jobs import PostgresJobStore
from headpond.adapters.postgres.streams import PostgresTokenStreams
from headpond.domain.job import JobState, Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.errors import InvalidRequest, SettingsError, Unavailable
from headpond.ports.delivery import Claim
from headpond.ports.streams import Entry
from headpond.testing.records import RESPONSE, a_job, new_job
from tests.chaos.processes import free_port
from tests.postgres import PostgresServer, emptied

LANES = lanes_of("default")
CLOCK = SystemClock()
PATIENCE_S = 30.0


@pytest.fixture
def server(postgres: PostgresServer) -> Generator[PostgresServer]:
    """The tests' server, running again at the end."""
    yield postgres
    postgres.stop()
    postgres.start()


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncGenerator[Database]:
    opened = Database(postgres.url, limits=Limits(connect_s=5, statement_s=5))
    await opened.open()
    await emptied(opened)
    yield opened
    await opened.close()


def delivery_on(database: Database, *, lease_s: float = 60.0) -> PostgresDelivery:
    tickets = count(1)
    return PostgresDelivery(
        database,
        clock=CLOCK,
        new_ticket=lambda: Ticket(f"new-{next(tickets)}"),
        lease_s=lease_s,
        max_lost_leases=50,
    )


def done(claim: Claim) -> Settlement:
    after = claim.job.succeeded(CLOCK.now(), engine="e", usage=Usage(1, 2))
    return Settlement(job=after, response=RESPONSE)


async def insist(verb: Callable[[], Awaitable[object]]) -> object:
    """Again and again while it is unavailable, as services do."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await verb()
            except Unavailable:
                await asyncio.sleep(0.05)


async def cut_all(postgres: PostgresServer) -> None:
    """End every connection but the one that says so."""
    other = Database(postgres.url, connections=1)
    await other.open()

    async def cut(connection: Connection) -> None:
        await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'headpond' AND pid <> pg_backend_pid()"
        )

    await other.on_connection(cut)
    await other.close()


async def test_a_connection_that_is_cut_while_idle_is_replaced(
    postgres: PostgresServer, database: Database
) -> None:
    delivery, jobs = delivery_on(database), PostgresJobStore(database, CLOCK)
    before = await delivery.submit(new_job())
    await cut_all(postgres)
    await insist(lambda: jobs.get(before.job.id))
    await insist(lambda: delivery.submit(new_job()))
    assert await jobs.get(before.job.id) == before.job


async def test_a_connection_that_is_cut_in_a_statement_is_unavailable(
    postgres: PostgresServer, database: Database
) -> None:
    sleeping = asyncio.create_task(
        database.on_connection(lambda connection: connection.fetch("SELECT pg_sleep(60)"))
    )
    await insist(lambda: _until_sleeping(database))
    await cut_all(postgres)
    with pytest.raises(Unavailable):
        await sleeping


async def _until_sleeping(database: Database) -> None:
    async def look(connection: Connection) -> bool:
        return bool(
            await connection.fetch(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' LIMIT 1"
            )
        )

    if not await database.on_connection(look):
        raise Unavailable("not yet", code="not_yet")


async def test_a_statement_that_takes_too_long_is_given_up(postgres: PostgresServer) -> None:
    impatient = Database(postgres.url, limits=Limits(statement_s=0.1))
    await insist(impatient.open)
    with pytest.raises(Unavailable):
        await impatient.on_connection(lambda connection: connection.fetch("SELECT pg_sleep(5)"))
    await impatient.close()


async def test_a_waiter_hears_again_after_its_connection_was_cut(
    postgres: PostgresServer, database: Database
) -> None:
    delivery, jobs = delivery_on(database), PostgresJobStore(database, CLOCK)
    job = (await delivery.submit(new_job())).job
    waiting = asyncio.create_task(jobs.wait_for_change(job.id, job.version, PATIENCE_S))
    await asyncio.sleep(0)
    await cut_all(postgres)
    try:
        await insist(lambda: delivery.claim(LANES, worker="w", limit=1))
        changed = await waiting
    except Unavailable:  # it was just reading
        changed = await jobs.get(job.id)
    assert changed is not None
    assert changed.state is JobState.RUNNING


@pytest.mark.timeout(120)
async def test_nothing_is_lost_or_doubled_when_the_server_goes_away_under_load(
    server: PostgresServer, database: Database
) -> None:
    # SPEC G7 Q3: jobs are submitted and worked while connections are cut and the server restarts.
    delivery = delivery_on(database, lease_s=3.0)
    jobs = PostgresJobStore(database, CLOCK)
    submitted = [new_job(key=f"key-{number}") for number in range(150)]
    ended: list[bool] = []

    async def submit() -> None:
        for new in submitted:
            await insist(lambda new=new: delivery.submit(new))

    async def settle(claim: Claim) -> None:
        settlement = done(claim)
        ended.append(bool(await insist(lambda: delivery.settle(claim, settlement))))

    async def work(worker: str) -> None:
        while sum(ended) < len(submitted):
            try:
                claims = await delivery.claim(LANES, worker=worker, limit=4, wait_s=0.2)
            except Unavailable:
                await asyncio.sleep(0.05)
                continue
            await asyncio.gather(*(settle(claim) for claim in claims))

    async def break_things() -> None:
        await _until(lambda: sum(ended) > 20)
        await asyncio.to_thread(server.crash)
        await asyncio.to_thread(server.start)
        await _until(lambda: sum(ended) > 60)
        await cut_all(server)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)

    await asyncio.gather(submit(), work("one"), work("two"), break_things())
    assert sum(ended) == len(submitted)
    found = [await jobs.get(new.job.id) for new in submitted]
    assert {job.state for job in found if job is not None} == {JobState.SUCCEEDED}
    depth = await database.read("depth", str(LANES[1]), CLOCK.now())
    assert list(depth[0])[:3] == [0, 0, 0]


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(2 * PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - a count is waited for
            await asyncio.sleep(0.01)


async def test_a_claim_and_a_stream_survive_a_crash_of_the_server(
    server: PostgresServer, database: Database
) -> None:
    # Whoever holds them survives it too, so they must not be undone: see decisions/0040.
    delivery, jobs = delivery_on(database), PostgresJobStore(database, CLOCK)
    streams = PostgresTokenStreams(database)
    await delivery.submit(new_job(a_job(stream=True)))
    (claim,) = await delivery.claim(LANES, worker="w", limit=1)
    assert await streams.begin(claim.job.id, claim.job.version) == 0
    entry = Entry(1, claim.job.version, b"[]")
    assert await streams.append(claim.job.id, entry)
    await asyncio.to_thread(server.crash)
    await asyncio.to_thread(server.start)
    assert await insist(lambda: jobs.get(claim.job.id)) == claim.job
    assert await streams.read(claim.job.id, after=0, limit=9) == [entry]
    assert await insist(lambda: delivery.settle(claim, done(claim)))


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    nobody = Database(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
    with pytest.raises(Unavailable, match=r"does not answer: .*[^.]\.$"):
        await nobody.open()
    await nobody.close()


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("/nowhere", "nowhere"),
        ("/postgres?sslmode=nonsense", "sslmode"),
        ("/postgres?search_path=nope", r"Create the schema that search_path names\.$"),
        ("/postgres?sslmod=require", 'says: unrecognized configuration parameter "sslmod"'),
    ],
)
async def test_a_url_that_cannot_work_is_a_setting_to_put_right(
    postgres: PostgresServer, ending: str, words: str
) -> None:
    wrong = Database(f"postgresql://postgres@127.0.0.1:{postgres.port}{ending}")
    with pytest.raises(SettingsError, match=words):
        await wrong.open()
    await wrong.close()


async def test_a_role_that_may_make_no_tables_is_told_what_it_needs(
    postgres: PostgresServer, postgres_database: Database
) -> None:
    async def execute(script: str) -> None:
        await postgres_database.on_connection(lambda connection: connection.execute(script))

    await execute("CREATE SCHEMA closed; CREATE ROLE guest LOGIN")
    await execute("GRANT USAGE ON SCHEMA closed TO guest")
    place = f"127.0.0.1:{postgres.port}/postgres?search_path=closed"
    guest = Database(f"postgresql://guest@{place}")
    try:
        with pytest.raises(SettingsError, match=r"permission denied .* Make the role the owner of"):
            await guest.open()
        await guest.close()
    finally:
        await execute("DROP SCHEMA closed; DROP ROLE guest")


async def test_a_password_that_is_not_quoted_is_told_to_nobody() -> None:
    wrong = Database("postgresql://u:geheim#x@127.0.0.1/postgres")
    with pytest.raises(SettingsError, match="by its code") as raised:
        await wrong.open()
    assert "geheim" not in str(raised.value)
    await wrong.close()


async def test_nobody_waits_for_long_behind_others(postgres: PostgresServer) -> None:
    database = Database(postgres.url, connections=1, limits=Limits(statement_s=0.5))
    await database.open()
    held = asyncio.Event()

    async def hold(connection: Connection) -> None:
        del connection
        await held.wait()

    holding = asyncio.create_task(database.on_connection(hold))
    await asyncio.sleep(0)
    behind = await asyncio.gather(
        *(database.on_connection(hold) for _ in range(9)), return_exceptions=True
    )
    assert {str(error) for error in behind} == {
        "The store does not answer: many wait for it already."
    }
    held.set()
    await holding
    assert await database.read("get_job", "x") == []
    await database.close()


async def test_a_character_that_cannot_be_stored_is_the_requests_fault(database: Database) -> None:
    delivery = delivery_on(database)
    good = asyncio.create_task(delivery.submit(new_job()))
    with pytest.raises(InvalidRequest):
        await delivery.submit(new_job(key="a\0b"))
    assert (await good).job.state is JobState.QUEUED


async def test_a_closed_database_takes_nothing_and_closes_again(postgres: PostgresServer) -> None:
    closed = Database(postgres.url)
    await insist(closed.open)
    await closed.close()
    with pytest.raises(Unavailable):
        await closed.read("get_job", "x")
    await closed.close()
