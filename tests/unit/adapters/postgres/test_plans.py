"""Statements touch a few pages however long the tables are.

That says more than the names of indexes in a plan, and it holds for what functions do too. Here the
tables have some ten thousand rows, which a scan would see in thousands of pages; `make
test-postgres-million` runs the same with a million. Each statement is run with a plan for
its parameters and with one for any.
"""

import contextlib
import json
import os
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

import pytest

from headpond.adapters.postgres.connection import Connection, Limits, sql
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.schema import migrations
from tests.postgres import PostgresServer, emptied

ROWS = int(os.environ.get("HEADPOND_ROWS", "20000"))
PAGES = 700
"""The most that a statement may touch; a statement for 64 jobs touches most."""

OF_FEW = 100
"""The most where 60 messages are counted, or one dispatch is looked for: a page for each."""

FILL = """
-- What belongs to `few` lies at the beginning, behind all that a walk from the end would see.
INSERT INTO jobs (
    id, version, team, model, state, accepted_at, deadline, finished_at, batch, record
)
SELECT
    'job_' || lpad(n::text, 32, '0'), 3, CASE WHEN n < 4 THEN 'few' ELSE 'team-' || n % 20 END,
    'model',
    CASE WHEN n % 20 = 0 THEN 'queued' WHEN n % 997 = 0 THEN 'dead' ELSE 'succeeded' END, n,
    CASE WHEN n % 3 = 0 THEN n + 1e9 END, CASE WHEN n % 20 <> 0 THEN n END,
    CASE n % 20 WHEN 1 THEN 'batch-1' WHEN 2 THEN 'batch-' || n END,
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
INSERT INTO messages (
    lane, job_id, ticket, team, work_tokens, weight, charge, sent_at, visible_at, token
)
SELECT
    'small/batch', id, 'ticket', team, 10, 1, 10, 1, CASE WHEN seq % 6 = 0 THEN 1e12 ELSE 1 END,
    CASE WHEN seq % 3 = 0 THEN 'held' END
FROM jobs WHERE seq <= 60;
INSERT INTO idempotency_keys (team, key, fingerprint, job_id, expires_at)
SELECT team, 'key-' || seq, 'f', id, seq FROM jobs;
INSERT INTO tries (seq, fingerprint, number, expires_at) SELECT seq, 'f-' || seq, 0, 1e12 FROM jobs;
INSERT INTO webhook_dispatches (
    endpoint, event, version, state, occurred_at, due_at, ended_at, record
)
SELECT
    CASE WHEN seq < 4 THEN 'few' ELSE 'endpoint-' || seq % 10 END,
    'event-' || seq, 1, 'delivered', seq,
    CASE WHEN seq % 50 = 0 OR seq = 1 THEN seq END,
    CASE WHEN seq % 50 <> 0 AND seq <> 1 THEN seq END,
    json_build_object('padding', repeat('x', 300))
FROM jobs;
INSERT INTO webhook_dispatches (endpoint, event, version, state, occurred_at, ended_at, record)
SELECT 'endpoint-99', 'event-' || seq, 1, 'delivered', seq, seq, '{{}}' FROM jobs WHERE seq <= 60;
INSERT INTO stream_entries (job, seq, run, choices)
SELECT jobs.seq, entry, 3, repeat('c', 100)::bytea
FROM jobs CROSS JOIN generate_series(1, 5) AS entry WHERE jobs.seq % 10 = 0;
INSERT INTO batches (id, version, team, status, input_file, ended_at, record)
SELECT
    'batch-' || n, 1, CASE WHEN n < 4 THEN 'few' ELSE 'team-' || n % 20 END,
    'completed', 'file-' || n,
    CASE WHEN n % 1000 <> 0 THEN n END, json_build_object('padding', repeat('x', 300))
FROM generate_series(1, {rows}) AS n WHERE n = 1 OR n % 10 IN (0, 2);
INSERT INTO files (id, blob, team, purpose, filename, size, created_at, expires_at)
SELECT
    'file-' || n, 'blob-' || n, 'team-' || n % 20, 'batch', repeat('f', 300), 1, n,
    CASE WHEN n % 2 = 0 THEN n END
FROM generate_series(1, {rows} / 10) AS n;
INSERT INTO blobs (name, written_at, whole, gone_at)
SELECT 'blob-' || n, n, true, CASE WHEN n % 10 = 0 THEN n END
FROM generate_series(1, {rows} / 10) AS n;
INSERT INTO blob_pieces (blob, first_byte, data) SELECT id, 0, repeat('p', 1000)::bytea FROM blobs;
INSERT INTO api_keys (id, digest, hint, team, role, created_at)
SELECT 'key-' || n, 'digest-' || n, repeat('h', 300), 'team-' || n % 20, 'user', n
FROM generate_series(1, {rows} / 10) AS n;
INSERT INTO webhook_endpoints (id, version, team, created_at, record)
SELECT
    'endpoint-' || n, 1, 'team-' || n, n, json_build_object('padding', repeat('x', 300))
FROM generate_series(1, {rows} / 10) AS n;
INSERT INTO workers (name, pool, reported_at, report)
SELECT
    'worker-' || n, 'pool-' || n / 100, n, json_build_object('padding', repeat('x', 300))
FROM generate_series(1, {rows} / 10) AS n;
INSERT INTO scaling_steps (pool, at, record)
SELECT 'default', n, json_build_object('padding', repeat('x', 300))
FROM generate_series(1, {rows} / 10) AS n;
SELECT made_ready(
    (SELECT array_agg('default/batch'::text) FROM generate_series(0, 19)),
    (SELECT array_agg('team-' || n) FROM generate_series(0, 19) AS n)
);
SELECT made_ready(
    (SELECT array_agg('small/batch'::text) FROM generate_series(0, 19)),
    (SELECT array_agg('team-' || n) FROM generate_series(0, 19) AS n)
);
"""

NOW = 1e10
IDS = [f"job_{number:032}" for number in range(20, 20 * 65, 20)]
NEW_IDS = [f"new_{number:032}" for number in range(64)]
SEQS = list(range(20, 20 * 65, 20))
MANY = len(IDS)
TEAMS = [f"team-{number}" for number in range(MANY)]
KEYS = [f"key-{number}" for number in range(MANY)]

CALLS: Mapping[str, tuple[object, ...]] = {
    "ack": (2.0, SEQS, ["held"] * MANY),
    "add_api_key": ("new", "new digest", "hint", "team-1", None, None, "user", NOW, None),
    "add_endpoint": ("new", 1, "team-1", NOW, "{}"),
    "add_jobs": (
        *(NOW, NEW_IDS, [2] * MANY, TEAMS, ["model"] * MANY, ["queued"] * MANY, [NOW] * MANY),
        *([2 * NOW] * MANY, [None] * MANY, [None] * MANY, ["{}"] * MANY, [b"body"] * MANY),
        *(KEYS, ["f"] * MANY, [None] * MANY, [2 * NOW] * MANY, ["default/batch"] * MANY),
        *(["ticket"] * MANY, [10] * MANY, [1.0] * MANY, [10.0] * MANY),
    ),
    "add_piece": (1, 1000, b"piece", NOW),
    "append_entries": (IDS, [3] * MANY, [9] * MANY, [b"c"] * MANY),
    "arrived": (["default/interactive", "default/batch"],),
    "backlog": ("small/batch", NOW),
    "begin_blob": ("new", NOW),
    "begin_jobs": (*(IDS, [4] * MANY, ["running"] * MANY, ["{}"] * MANY, SEQS, ["held"] * MANY),),
    "begin_stream": (IDS[0], 3),
    "count_arrivals": ("default/batch", 1, 10),
    "delete_blob": ("blob-1", NOW),
    "depth": ("small/batch", NOW),
    "disown_blobs": ([f"blob-{number}" for number in range(-32, 32)],),
    "drop": (2.0, SEQS, ["held"] * MANY),
    "due_dispatches": ("few", "", NOW, 10),
    "endpoints_of_team": ("team-1",),
    "endpoints_to_tell": (TEAMS,),
    "ends_of_streams": (IDS,),
    "enqueue": (
        *(IDS[0], 3, 4, "queued", None, "{}", NOW, 0.0, "default/batch", "ticket", "team-0"),
        *(10, 1.0, 10.0),
    ),
    "erase_bodies": (IDS[0],),
    "expired_files": (50.0, 100),
    "expired_keys": (50.0, 50),
    "extend": (2.0, 30.0, SEQS, ["held"] * MANY),
    "find_api_key": ("digest-1",),
    "find_batches": ("team-2", "batch-22", 20),
    "find_blob": ("blob-1",),
    "find_files_newest": ("team-1", None, 0.0, "file-1001", 20),
    "find_files_oldest": ("team-1", None, 0.0, "file-1001", 20),
    "find_jobs": (None, None, 20),
    "find_jobs_of_team": ("team-1", None, IDS[-1], 20),
    "finish_blob": (1, NOW),
    "forget_dispatches": (50.0, 50),
    "forget_keys": (TEAMS, KEYS),
    "forget_scaling_steps": (50.0,),
    "forget_streams": (50.0, 20),
    "forget_tries": (0.0, 50),
    "get_batch": ("batch-1",),
    "get_bodies": (IDS[0],),
    "get_dispatch": ("endpoint-0", "event-10"),
    "get_endpoint": ("endpoint-1",),
    "get_file": ("file-1",),
    "get_job": (IDS[0],),
    "get_key": ("team-1", "key-1", 0.0),
    "get_line_mark": ("rule",),
    "get_mark": ("rule",),
    "get_scaling_state": ("default",),
    "give_back": (2.0, SEQS, ["held"] * MANY, [0.0] * MANY),
    "hold_keys": (TEAMS, KEYS, NOW),
    "insert_batch": ("new", 1, "team-1", "validating", "file-1", None, "{}"),
    "insert_dispatches": (
        *(["endpoint-1"] * MANY, [""] * MANY, NEW_IDS, [1] * MANY, ["pending"] * MANY),
        *([NOW] * MANY, [NOW] * MANY, [None] * MANY, ["{}"] * MANY),
    ),
    "look": (NOW, 10, "", ""),
    "look_again": (IDS,),
    "next_visible": (["default/interactive", "default/batch"],),
    "note_scaling_step": ("default", NOW, "{}"),
    "overdue_jobs": (NOW, 100),
    "present_jobs": (IDS,),
    "purge_blobs": (NOW,),
    "put_file": ("new", "new", "team-1", "batch", "name", 1, NOW, None),
    "put_line_mark": ("rule", 1.0, 1, 1),
    "put_mark": ("rule", 1.0, 1),
    "put_report": ("worker-1", "default", NOW, "{}"),
    "read_audit": (100.0, 5, None, None, None, MANY, True),
    "read_dead": (0.0, -1, None, None, None, None, 20),
    "read_ended": (100.0, 5, NOW, MANY),
    "read_lines": (1.0, 1, ROWS - 1000, NOW, MANY),
    "read_piece": (1, 10),
    "read_stream": (IDS[0], 0, 100),
    "receive": (["default/interactive", "default/batch"], 64, 2.0, NOW, "nonce"),
    "remove_dispatches": ("endpoint-99",),
    "remove_endpoint": ("endpoint-1",),
    "remove_file": ("file-1",),
    "renew": (2.0, 30.0, SEQS, ["held"] * MANY, IDS, [3] * MANY),
    "reports_of_pool": ("pool-1",),
    "revoke_api_key": ("key-1", NOW),
    "scaling_steps": ("default", 20),
    "send": (
        *(NOW, 0.0, ["default/batch"] * MANY, NEW_IDS, ["ticket"] * MANY, TEAMS, [10] * MANY),
        *([1.0] * MANY, [10.0] * MANY),
    ),
    "settle": (
        *(2.0, IDS, [4] * MANY, ["succeeded"] * MANY, [NOW] * MANY, ["{}"] * MANY),
        *([b"body"] * MANY, SEQS, ["held"] * MANY, [0.0] * MANY, ["team-0"] * MANY, False),
        [False] * MANY,
    ),
    "swap_batch": ("batch-1", 2, "completed", NOW, "{}"),
    "swap_dispatch": ("endpoint-0", "event-10", 2, "delivered", None, NOW, "{}"),
    "swap_endpoint": ("endpoint-1", 2, "{}"),
    "swap_jobs": (IDS, [4] * MANY, ["queued"] * MANY, [None] * MANY, ["{}"] * MANY, [None] * MANY),
    "swap_scaling_state": ("default", 1, "{}"),
    "take_try": ("f-1", 1, 0.0, NOW),
    "unended_of_batch": ("batch-1", 100),
    "unqueued_jobs": (NOW, 100),
    "versions_of": (IDS,),
}
"""With parameters that find something."""

INDEXED: Mapping[str, tuple[object, ...]] = {"open_jobs": (IDS[0], 500)}
"""What has an index of its own, which is made when it is asked for first."""

COUNTING: Mapping[str, tuple[tuple[object, ...], int]] = {
    "due_work": (("default",), ROWS // 60),
    "open_batches": ((), ROWS // 1000),
    "stored_bytes": (("team-1", 0.0), ROWS // 200),
    "tally_batch": (("batch-1",), ROWS // 20),
    "untold_dispatches": ((), ROWS // 50),
}
"""Those that count rows, and how many these are: they may touch a page for each."""

CUSTOM = {"find_files_newest", "find_files_oldest", "read_audit", "read_dead"}
"""What the server plans for its parameters each time, since a plan for any would cost more."""

TRIALS = 7
"""From the sixth run on, PostgreSQL takes a plan for any parameters if that costs no more."""

EXCEPTIONS: Mapping[str, str] = {
    "all_api_keys": "Lists every key, for a person.",
    "blobs_written_before": "Answers with nearly every blob; once an hour.",
    "find_dispatches": "For a person; a plan for any endpoint may walk past those of the others.",
    "forget_reports": "Ranks every worker's report; they are hundreds, and this forgets them.",
    "index_open_jobs": "Makes an index, once.",
    "lock_blob_names": "Touches no table.",
    "lock_blob_names_shared": "Touches no table.",
    "lock_tries": "Touches no table.",
    "tell": "Touches no table.",
    "vacuum_messages": "Walks the table; that is what it is for.",
}
"""Statements that are not held to a number of pages, and why."""

UNPREPARED = {"index_open_jobs.sql", "vacuum_messages.sql"}
"""What no server prepares: it neither reads nor writes rows."""


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncGenerator[Database]:
    """An empty database over one connection, which has the time to fill it."""
    opened = Database(postgres.url, connections=1, limits=Limits(statement_s=1800.0))
    await opened.open()
    await emptied(opened)
    await opened.on_connection(_drop_index)
    await opened.on_connection(partial(_set_autovacuum, to="off"))
    yield opened
    await opened.on_connection(partial(_set_autovacuum, to="on"))
    await opened.on_connection(_drop_index)
    await emptied(opened)
    await opened.close()


async def _set_autovacuum(connection: Connection, *, to: str) -> None:
    # It would count rows before they are committed, and take full tables for empty ones.
    await connection.execute(f"ALTER SYSTEM SET autovacuum = {to}")
    await connection.execute("SELECT pg_reload_conf()")


async def _fill(connection: Connection) -> None:
    await connection.execute("SET statement_timeout = 0")
    await connection.execute(FILL.format(rows=ROWS))


async def _analyse(connection: Connection) -> None:
    await connection.execute("ANALYZE")


async def _index_open_jobs(connection: Connection) -> None:
    await connection.execute(sql("index_open_jobs"))


async def _drop_index(connection: Connection) -> None:
    # Others may have left it, and a plan that needs it is to be seen without it.
    await connection.execute("DROP INDEX IF EXISTS jobs_open")


async def most_pages(database: Database, name: str, args: tuple[object, ...]) -> int:
    """How many pages the statement touches in its worst run, whether they were in memory or not."""

    async def explain(connection: Connection) -> int:
        await connection.execute(f"PREPARE tried AS {sql(name)}")
        literals = await _literals(connection, args)
        call = f"EXECUTE tried ({', '.join(literals)})" if literals else "EXECUTE tried"
        most = 0
        # Which of the two the server keeps depends on whoever asked first.
        plans = ["auto"] * TRIALS if name in CUSTOM else ["force_custom_plan", "force_generic_plan"]
        for plan in plans:
            await connection.execute(f"SET plan_cache_mode = {plan}")
            most = max(most, await _pages(connection, call))
        await connection.execute("RESET plan_cache_mode")
        await connection.execute("DEALLOCATE tried")
        return most

    return await database.on_connection(explain)


async def _literals(connection: Connection, args: tuple[object, ...]) -> list[str]:
    """The arguments as EXPLAIN takes them: it has no parameters for what is prepared."""
    ((types,),) = await connection.fetch(
        "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'tried'"
    )
    return [
        literal
        for kind, arg in zip(types, args, strict=True)
        for ((literal,),) in [
            await connection.fetch(f"SELECT quote_nullable($1::{kind}::text)", arg)
        ]
    ]


async def _pages(connection: Connection, call: str) -> int:
    """How many pages it touches; what it does is undone."""
    touched = 0
    with contextlib.suppress(_RolledBackError):
        async with connection.transaction():
            command = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {call}"
            ((text,),) = await connection.fetch(command)
            plan: dict[str, Any] = json.loads(text)[0]["Plan"]
            touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            raise _RolledBackError
    return touched


class _RolledBackError(Exception):
    """Ends a transaction that was only a trial."""


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
    most = {name: await most_pages(database, name, args) for name, args in CALLS.items()}
    for name, (args, rows) in COUNTING.items():
        most[name] = await most_pages(database, name, args) - rows
    await database.on_connection(_index_open_jobs)
    for name, args in INDEXED.items():
        # All that are open, where nobody has analysed the table since the index was made.
        most[name] = await most_pages(database, name, args) - ROWS // 20
    # Several times as many as there are jobs, keys and indexes to be written for 64 jobs.
    assert {name: count for name, count in most.items() if count > _allowed(name)} == {}


def _allowed(name: str) -> int:
    match name:
        case "backlog" | "depth" | "due_dispatches":
            return OF_FEW
        case "add_jobs":
            return PAGES * 7
        case (
            "append_entries" | "begin_jobs" | "extend" | "give_back" | "insert_dispatches"
            | "receive" | "renew" | "send" | "settle" | "swap_jobs"
        ):  # fmt: skip
            return PAGES * 5
        case _:
            return PAGES


def test_every_statement_is_held_to_its_pages_or_named_with_a_reason() -> None:
    folder = files("headpond.adapters.postgres") / "statements"
    names = sorted(statement.name.removesuffix(".sql") for statement in folder.iterdir())
    assert names == sorted([*CALLS, *COUNTING, *INDEXED, *EXCEPTIONS])


async def test_every_statement_is_understood_by_the_server(postgres_database: Database) -> None:
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
