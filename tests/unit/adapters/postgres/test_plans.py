"""Statements touch a few pages however long the tables are.

That says more than the names of indexes in a plan, and it holds for what functions do too. Here the
tables have some ten thousand rows, which a scan would see in thousands of pages; `make
test-postgres-million` runs the same with a million.
"""

import json
import os
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from headpond.adapters.postgres.connection import Connection, Limits, sql
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.schema import migrations
from tests.postgres import PostgresServer, emptied

ROWS = int(os.environ.get("HEADPOND_ROWS", "20000"))
PAGES = 700
"""The most that a statement may touch; a statement for 64 jobs touches most."""

FILL = """
INSERT INTO jobs (
    id, version, team, model, state, accepted_at, deadline, finished_at, batch, record
)
SELECT
    'job_' || lpad(n::text, 32, '0'), 3, 'team-' || n % 20, 'model',
    CASE WHEN n % 20 = 0 THEN 'queued' WHEN n % 997 = 0 THEN 'dead' ELSE 'succeeded' END, n,
    CASE WHEN n % 3 = 0 THEN n + 1e9 END, CASE WHEN n % 20 <> 0 THEN n END,
    CASE WHEN n % 100 = 1 THEN 'batch' END,
    json_build_object('padding', repeat('x', 600), 'error', json_build_object('code', 'c'))
FROM generate_series(1, {rows}) AS n;
INSERT INTO requests (seq, body) SELECT seq, repeat('r', 600)::bytea FROM jobs;
INSERT INTO responses (seq, body)
SELECT seq, repeat('a', 300)::bytea FROM jobs WHERE state = 'succeeded';
INSERT INTO messages (
    lane, job_id, ticket, team, work_tokens, weight, charge, sent_at, visible_at, token
)
SELECT
    'default/batch', id, 'ticket', team, 10, 1, 10, 1, CASE WHEN seq % 3 = 0 THEN 1e12 ELSE 1 END,
    CASE WHEN seq % 3 = 0 THEN 'held' END
FROM jobs CROSS JOIN generate_series(1, 5) AS copy WHERE state = 'queued';
INSERT INTO idempotency_keys (team, key, fingerprint, job_id, expires_at)
SELECT team, 'key-' || seq, 'f', id, seq FROM jobs;
INSERT INTO tries (seq, fingerprint, number, expires_at) SELECT seq, 'f-' || seq, 0, 1e12 FROM jobs;
INSERT INTO webhook_dispatches (
    endpoint, event, version, state, occurred_at, due_at, ended_at, record
)
SELECT
    'endpoint-' || seq % 10, 'event-' || seq, 1, 'delivered', seq,
    CASE WHEN seq % 50 = 0 THEN seq END, CASE WHEN seq % 50 <> 0 THEN seq END,
    json_build_object('padding', repeat('x', 300))
FROM jobs;
INSERT INTO stream_entries (job, seq, run, choices)
SELECT jobs.seq, entry, 3, repeat('c', 100)::bytea
FROM jobs CROSS JOIN generate_series(1, 5) AS entry WHERE jobs.seq % 10 = 0;
SELECT made_ready(
    (SELECT array_agg('default/batch'::text) FROM generate_series(0, 19)),
    (SELECT array_agg('team-' || n) FROM generate_series(0, 19) AS n)
);
"""

NOW = 1e10
IDS = [f"job_{number:032}" for number in range(20, 20 * 65, 20)]
SEQS = list(range(20, 20 * 65, 20))
MANY = len(IDS)

CALLS: Mapping[str, tuple[object, ...]] = {
    "get_job": (IDS[0],),
    "get_bodies": (IDS[0],),
    "get_key": ("team-1", "key-1", 0.0),
    "take_try": ("f-1", 1, 0.0, NOW),
    "find_jobs": (None, None, 20),
    "find_jobs_of_team": ("team-1", None, IDS[-1], 20),
    "overdue_jobs": (NOW, 100),
    "unqueued_jobs": (NOW, 100),
    "versions_of": (IDS,),
    "expired_keys": (50.0, 50),
    "forget_tries": (0.0, 50),
    "receive": (["default/interactive", "default/batch"], 64, 2.0, NOW, "nonce"),
    "next_visible": (["default/interactive", "default/batch"],),
    "begin_jobs": (*(IDS, [4] * MANY, ["running"] * MANY, ["{}"] * MANY, SEQS, ["held"] * MANY),),
    "settle": (
        *(2.0, IDS, [4] * MANY, ["succeeded"] * MANY, [NOW] * MANY, ["{}"] * MANY),
        *([b"body"] * MANY, SEQS, ["held"] * MANY, [0.0] * MANY, ["team-0"] * MANY, False),
        [False] * MANY,
    ),
    "swap_jobs": (IDS, [4] * MANY, ["queued"] * MANY, [None] * MANY, ["{}"] * MANY, [None] * MANY),
    "renew": (2.0, 30.0, SEQS, ["held"] * MANY, IDS, [3] * MANY),
    "ack": (2.0, SEQS, ["held"] * MANY),
    "drop": (2.0, SEQS, ["held"] * MANY),
    "look_again": (IDS,),
    "present_jobs": (IDS,),
    "unended_of_batch": ("batch", 100),
    "read_audit": (100.0, 5, None, None, None, MANY),
    "read_dead": (0.0, -1, None, None, None, None, 20),
    "read_ended": (100.0, 5, NOW, MANY),
    "look": (NOW, 10, "", ""),
    "due_dispatches": ("endpoint-0", "", NOW, 10),
    "get_dispatch": ("endpoint-0", "event-10"),
    "find_dispatches": ("endpoint-1", None, None, 20),
    "forget_dispatches": (50.0, 50),
    "begin_stream": (IDS[0], 3),
    "append_entries": (IDS, [3] * MANY, [9] * MANY, [b"c"] * MANY),
    "read_stream": (IDS[0], 0, 100),
    "ends_of_streams": (IDS,),
    "forget_streams": (50.0, 20),
    "arrived": (["default/interactive", "default/batch"],),
    "count_arrivals": ("default/batch", 1, 10),
    "get_scaling_state": ("default",),
    "swap_scaling_state": ("default", 1, "{}"),
    "note_scaling_step": ("default", NOW, "{}"),
    "scaling_steps": ("default", 20),
    "forget_scaling_steps": (50.0,),
}
"""What runs for each job, or again and again, with parameters that find something."""

UNPREPARED = {"index_open_jobs.sql", "vacuum_messages.sql"}
"""What no server prepares: it neither reads nor writes rows."""


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncGenerator[Database]:
    """An empty database over one connection, which has the time to fill it."""
    opened = Database(postgres.url, connections=1, limits=Limits(statement_s=1800.0))
    await opened.open()
    await emptied(opened)
    yield opened
    await emptied(opened)
    await opened.close()


async def _fill(connection: Connection) -> None:
    await connection.execute("SET statement_timeout = 0")
    await connection.execute(FILL.format(rows=ROWS))


async def _analyse(connection: Connection) -> None:
    await connection.execute("ANALYZE")


class _RolledBackError(Exception):
    """Ends a transaction that was only a trial."""


async def pages(database: Database, name: str) -> int:
    """How many pages the statement touches, whether they were in memory or not."""
    touched = 0

    async def explain(connection: Connection) -> None:
        nonlocal touched
        command = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql(name)}"
        ((text,),) = await connection.fetch(command, *CALLS[name])
        plan: dict[str, Any] = json.loads(text)[0]["Plan"]
        touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        raise _RolledBackError

    with pytest.raises(_RolledBackError):
        await database.transaction(explain)
    return touched


@pytest.mark.timeout(1800 if ROWS > 100_000 else 120)
@pytest.mark.parametrize("analysed", ["never", "while they were empty", "as they are"])
async def test_statements_touch_few_pages_whenever_the_tables_were_analysed(
    database: Database, analysed: str
) -> None:
    if analysed == "while they were empty":
        await database.on_connection(_analyse)
    await database.on_connection(_fill)
    if analysed == "as they are":
        await database.on_connection(_analyse)
    most = dict.fromkeys(CALLS, 0)
    # The first time a plan is made for these parameters, later for any.
    for _ in range(7):
        for name in CALLS:
            most[name] = max(most[name], await pages(database, name))
    # Several times as many as there are jobs, keys and indexes to be written for 64 jobs.
    assert {name: count for name, count in most.items() if count > _allowed(name)} == {}


def _allowed(name: str) -> int:
    written = {"settle", "swap_jobs", "begin_jobs", "receive", "append_entries", "renew"}
    return PAGES * 5 if name in written else PAGES


async def test_every_statement_is_understood_by_the_server(postgres_database: Database) -> None:
    from importlib.resources import files  # noqa: PLC0415 - the only test that needs it

    folder = files("headpond.adapters.postgres") / "statements"

    async def prepare(connection: Connection) -> None:
        for statement in folder.iterdir():
            if statement.name in UNPREPARED:
                continue
            await connection.execute(f"PREPARE understood AS {statement.read_text()}")
            await connection.execute("DEALLOCATE understood")

    await postgres_database.on_connection(prepare)


def test_migrations_are_numbered_without_gaps() -> None:
    assert len(migrations()) == 8
