"""The hot statements find their rows by an index, however large the tables are."""

import re
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from headpond.adapters.sqlite.connection import connect, sql
from headpond.adapters.sqlite.schema import migrate

PLANS = {
    "due_messages": ("messages_hidden (lane=? AND visible_at<?)",),
    "promote": ("INTEGER PRIMARY KEY (rowid=?)",),
    "teams_in_turn": ("shares_in_turn (lane=? AND backlogged=?)",),
    "ready_of_team": ("messages_ready (lane=? AND team=? AND seq>?)",),
    "lease": ("INTEGER PRIMARY KEY (rowid=?)",),
    "charge_team": ("(lane=? AND team=?)", "messages_ready (lane=? AND team=?)"),
    "refund_team": ("(lane=? AND team=?)",),
    "forget_teams": ("shares_in_turn (lane=? AND backlogged=? AND tag<?)",),
    "next_visible": ("shares_in_turn (lane=? AND backlogged=?)", "messages_hidden (lane=?)"),
    "depth": ("messages_ready (lane=?)", "messages_hidden (lane=?)"),
    "backlog": ("messages_ready (lane=?)", "messages_hidden (lane=?)"),
    "held": ("INTEGER PRIMARY KEY (rowid=?)",),
    "ack": ("INTEGER PRIMARY KEY (rowid=?)",),
    "extend": ("INTEGER PRIMARY KEY (rowid=?)",),
    "give_back": ("INTEGER PRIMARY KEY (rowid=?)",),
    "get_job": ("sqlite_autoindex_jobs_1 (id=?)",),
    "get_jobs_with_requests": ("sqlite_autoindex_jobs_1 (id=?)", "PRIMARY KEY (rowid=?)"),
    "get_bodies": ("sqlite_autoindex_jobs_1 (id=?)", "PRIMARY KEY (rowid=?)"),
    "rows_of": ("sqlite_autoindex_jobs_1 (id=?)",),
    "begin_job": ("INTEGER PRIMARY KEY (rowid=?)",),
    "replace_job": ("INTEGER PRIMARY KEY (rowid=?)",),
    "teams_with_endpoints": ("webhook_endpoints_of_team (team=?)",),
    "endpoints_of_team": ("webhook_endpoints_of_team (team=?)",),
    "get_endpoint": ("sqlite_autoindex_webhook_endpoints_1 (id=?)",),
    "swap_endpoint": ("sqlite_autoindex_webhook_endpoints_1 (id=?)",),
    "look": (
        "webhook_dispatches_due ((endpoint,origin)>(?,?))",
        "webhook_dispatches_due (endpoint=? AND origin>?)",
        "webhook_dispatches_due (endpoint>?)",
    ),
    "due_dispatches": ("webhook_dispatches_due (endpoint=? AND origin=? AND due_at<?)",),
    "get_dispatch": ("sqlite_autoindex_webhook_dispatches_1 (endpoint=? AND event=?)",),
    "swap_dispatch": ("sqlite_autoindex_webhook_dispatches_1 (endpoint=? AND event=?)",),
    "find_dispatches": ("webhook_dispatches_of_endpoint (endpoint=?",),
    "forget_dispatches": ("webhook_dispatches_ended (ended_at<?)",),
    "versions_of": ("sqlite_autoindex_jobs_1 (id=?)",),
    "overdue_jobs": ("jobs_with_deadline (",),
    "unqueued_jobs": ("jobs_not_queued (",),
    "find_jobs_in_state": ("jobs_in_state (team=? AND state=?",),
    "open_jobs": ("jobs_open (seq>?)", "sqlite_autoindex_jobs_1 (id=?)"),
    "find_jobs_of_team": ("jobs_of_team (team=?)",),
    "read_ended": ("jobs_by_end (", "sqlite_autoindex_batches_1 (id=?)"),
    "read_lines": ("batches_by_end (", "lines_of_batch (batch=?)"),
    "get_line_mark": ("PRIMARY KEY (rule=?)",),
    "get_mark": ("PRIMARY KEY (rule=?)",),
    "erase_request": ("INTEGER PRIMARY KEY (rowid=?)",),
    "erase_response": ("INTEGER PRIMARY KEY (rowid=?)",),
    "read_dead": ("jobs_dead (",),
    "read_audit": ("jobs_by_end (", "PRIMARY KEY (rowid=?)"),
    "get_key": ("PRIMARY KEY (team=? AND key=?)",),
    "expired_keys": ("idempotency_keys_expiry (expires_at<?)", "sqlite_autoindex_jobs_1 (id=?)"),
    "forget_key": ("PRIMARY KEY (team=? AND key=?)",),
    "hold_key": ("PRIMARY KEY (team=? AND key=?)",),
    "earlier_try": ("tries_of_request (fingerprint=? AND number<?)", "PRIMARY KEY (rowid=?)"),
    "take_try": ("INTEGER PRIMARY KEY (rowid=?)",),
    "job_at_version": ("sqlite_autoindex_jobs_1 (id=?)",),
    "last_stream_entry": ("PRIMARY KEY (job=?)",),
    "read_stream": ("sqlite_autoindex_jobs_1 (id=?)", "PRIMARY KEY (job=? AND seq>?)"),
    "ends_of_streams": ("sqlite_autoindex_jobs_1 (id=?)", "PRIMARY KEY (job=?)"),
    "forget_streams": ("PRIMARY KEY (job=?)",),
    "get_file": ("sqlite_autoindex_files_1 (id=?)",),
    "find_files_newest": ("files_of_team (team=?)",),
    "find_files_oldest": ("files_of_team (team=?)",),
    "expired_files": ("files_by_expiry (",),
    "stored_bytes": ("files_of_team (team=?)",),
    "unnamed_blobs": ("files_by_blob (blob=?)",),
    "get_batch": ("sqlite_autoindex_batches_1 (id=?)",),
    "swap_batch": ("sqlite_autoindex_batches_1 (id=?)",),
    "find_batches": ("batches_of_team (team=?)",),
    "tally_batch": ("jobs_of_batch (batch=?)",),
    "unended_of_batch": ("jobs_of_batch (batch=? AND state=?)",),
    "present_jobs": ("sqlite_autoindex_jobs_1 (id=?)", "PRIMARY KEY (rowid=?)"),
    "find_api_key": ("sqlite_autoindex_api_keys_2 (digest=?)",),
}


@pytest.fixture
def connection(tmp_path: Path) -> Generator[sqlite3.Connection]:
    path = tmp_path / "headpond.db"
    with closing(connect(path)) as opened:
        migrate(opened, path)
        opened.execute(sql("index_open_jobs"))
        yield opened


@pytest.mark.parametrize("statement", PLANS)
def test_a_statement_searches_by_its_index(statement: str, connection: sqlite3.Connection) -> None:
    text = sql(statement)
    names = re.findall(r":([a-z_]+)", text)
    parameters = dict.fromkeys(names, 1) if names else [1] * text.count("?")
    rows = connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()
    plan = [detail for *_, detail in rows]
    for index in PLANS[statement]:
        assert any(index in line and line.startswith("SEARCH") for line in plan), plan
    walked = (
        "SCAN json_each",
        "SCAN first",
        "SCAN (subquery",
        "SCAN CONSTANT ROW",
    )  # what the statement itself brings
    scans = [line for line in plan if line.startswith("SCAN") and not line.startswith(walked)]
    assert scans == [], plan
    # A backlog has a row for each team by then, and for each message that is not ready.
    sorts = [] if statement == "backlog" else [line for line in plan if "TEMP B-TREE" in line]
    assert sorts == [], plan
