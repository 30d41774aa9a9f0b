"""Messages in rows, and every change to them, as steps of a transaction.

A lease token is the row's number and a nonce that is new with each receipt, so an old token finds
nothing. A lease also holds only while its time runs: `now` is a parameter of each statement. What
is ready has no token and needs no clock: see the page on top of `migrations/0006_shares.sql`.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence

from headpond.adapters.sqlite import shares
from headpond.adapters.sqlite.connection import sql
from headpond.domain.lane import Lane
from headpond.domain.quote import Backlog
from headpond.ports.queue import Depth, Lease, LeaseToken, Message

DELAYED = ""
"""The token of a message that is hidden and leased to nobody."""

PROMOTED = 1_024
"""Most messages that one receipt makes ready; the rest comes with the next."""


def send(
    connection: sqlite3.Connection, messages: Sequence[Message], *, now: float, delay_s: float = 0.0
) -> None:
    """Insert the messages, ready after `delay_s`."""
    connection.executemany(
        sql("send"),
        [
            (
                str(message.lane),
                message.job_id,
                message.ticket,
                message.team,
                message.work_tokens,
                message.weight,
                now,
                now + delay_s,
                DELAYED if delay_s > 0 else None,
            )
            for message in messages
        ],
    )


def receive(
    connection: sqlite3.Connection,
    lanes: Sequence[Lane],
    *,
    limit: int,
    now: float,
    lease_s: float,
) -> list[Lease]:
    """Lease up to `limit` ready messages, earlier lanes first, teams in turn."""
    leases: list[Lease] = []
    nonce = secrets.token_hex(8)
    for lane in lanes:
        _promote(connection, lane, now)
    for lane in lanes:
        if len(leases) == limit:
            break
        turns = shares.choose(connection, lane, limit - len(leases))
        if turns.tags:
            seqs = json.dumps([ready.seq for ready in turns.taken])
            connection.execute(sql("lease"), (nonce, now + lease_s, seqs))
            shares.charge_all(connection, lane, turns)
        leases += [
            Lease(ready.message, LeaseToken(f"{ready.seq}.{nonce}")) for ready in turns.taken
        ]
    return leases


def _promote(connection: sqlite3.Connection, lane: Lane, now: float) -> None:
    """Make ready whose time has come: mostly nobody's, and to look costs less than to try.

    In the order of sending, which decides between teams that are equal, whatever was due first.
    """
    parameters = {"lane": str(lane), "now": now, "limit": PROMOTED}
    due = connection.execute(sql("due_messages"), parameters).fetchall()
    connection.executemany(sql("promote"), sorted(due))


def next_visible(connection: sqlite3.Connection, lanes: Sequence[Lane]) -> float | None:
    """When the first message of the lanes becomes ready, None if they are empty.

    It is 0, which was long ago, if one is ready.
    """
    statement = sql("next_visible")
    times = [connection.execute(statement, {"lane": str(lane)}).fetchone()[0] for lane in lanes]
    return min((time for time in times if time is not None), default=None)


def extend(
    connection: sqlite3.Connection, leases: Sequence[Lease], *, now: float, lease_s: float
) -> list[Lease]:
    """Hold each lease on, iff it is still held; returns those."""
    statement = sql("extend")
    return [
        lease
        for lease, (seq, nonce) in _parsed(leases)
        if connection.execute(statement, (now + lease_s, seq, nonce, now)).rowcount
    ]


def ack(connection: sqlite3.Connection, leases: Sequence[Lease], *, now: float) -> None:
    """Delete each message iff its lease is still held."""
    connection.executemany(sql("ack"), [(seq, nonce, now) for _, (seq, nonce) in _parsed(leases)])


def drop(connection: sqlite3.Connection, leases: Sequence[Lease], *, now: float) -> None:
    """Delete each message iff its lease is still held, and charge nobody for it."""
    for lease, (seq, nonce) in _held(connection, leases, now):
        shares.refund(connection, lease.message)
        connection.execute(sql("ack"), (seq, nonce, now))


def give_back(
    connection: sqlite3.Connection, leases: Sequence[Lease], *, now: float, delay_s: float
) -> None:
    """Make each message ready after `delay_s`, or in its old place, iff its lease is held.

    Nobody is charged for it: refunded first, so that its team begins again where any other would.
    """
    for lease, (seq, _) in _held(connection, leases, now):
        shares.refund(connection, lease.message)
        connection.execute(sql("give_back"), {"delay_s": delay_s, "now": now, "seq": seq})


def depth(connection: sqlite3.Connection, lane: Lane, *, now: float) -> Depth:
    """Count the messages of a lane."""
    ready, leased, delayed, oldest = connection.execute(
        sql("depth"), {"lane": str(lane), "now": now}
    ).fetchone()
    return Depth(ready, leased, delayed, None if oldest is None else now - oldest)


def backlog(connection: sqlite3.Connection, lane: Lane, *, now: float) -> dict[str, Backlog]:
    """What waits in a lane, by team."""
    rows = connection.execute(sql("backlog"), {"lane": str(lane), "now": now})
    return {team: Backlog(jobs, work_tokens) for team, jobs, work_tokens in rows}


def _parsed(leases: Sequence[Lease]) -> Iterator[tuple[Lease, tuple[int, str]]]:
    for lease in leases:
        seq, _, nonce = lease.token.partition(".")
        yield lease, (int(seq), nonce)


def _held(
    connection: sqlite3.Connection, leases: Sequence[Lease], now: float
) -> Iterator[tuple[Lease, tuple[int, str]]]:
    for lease, (seq, nonce) in _parsed(leases):
        if connection.execute(sql("held"), (seq, nonce, now)).fetchone():
            yield lease, (seq, nonce)
