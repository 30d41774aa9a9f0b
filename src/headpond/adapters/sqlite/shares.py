"""Teams and their tags in rows: whose messages are next in a lane, and what a team is charged.

That a team has messages ready is noted by triggers of the schema, whatever made them ready, and
taken back when it is charged for its last one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from headpond.adapters.sqlite.connection import sql
from headpond.domain.fairness import Turns, charge, take_turns
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import Lane
from headpond.ports.queue import Message

FIRST_LOOK = 2
LOOK_GROWTH = 4
"""A team's messages are read a few at a time: of many teams each gives few, one alone gives all."""


class Ready(NamedTuple):
    """A message with the number of its row."""

    seq: int
    message: Message


def choose(connection: sqlite3.Connection, lane: Lane, limit: int) -> Turns[Ready]:
    """The next up to `limit` ready messages of a lane. Changes nothing."""
    with closing(connection.execute(sql("teams_in_turn"), (str(lane),))) as teams:
        return take_turns(
            teams, lambda team: _ready_of(connection, lane, team, limit), _charge_of, limit
        )


def charge_all(connection: sqlite3.Connection, lane: Lane, turns: Turns[Ready]) -> None:
    """Charge the teams for what was chosen, once it is leased."""
    connection.executemany(
        sql("charge_team"),
        [{"lane": str(lane), "team": team, "tag": tag} for team, tag in turns.tags.items()],
    )
    if not turns.taken:
        return
    connection.execute(sql("advance_lane"), (str(lane), turns.virtual_time))
    connection.execute(sql("forget_teams"), {"lane": str(lane)})


def refund(connection: sqlite3.Connection, message: Message) -> None:
    """Take back what the message was charged when it was handed out."""
    cost = charge(message.work_tokens, message.weight)
    connection.execute(sql("refund_team"), (cost, str(message.lane), message.team))


def _charge_of(ready: Ready) -> float:
    return charge(ready.message.work_tokens, ready.message.weight)


def _ready_of(connection: sqlite3.Connection, lane: Lane, team: str, limit: int) -> Iterator[Ready]:
    """A team's ready messages in the order of sending; at least `limit`, if there are so many."""
    after, look = 0, min(FIRST_LOOK, limit)
    while True:
        parameters = (str(lane), team, after, look)
        rows = connection.execute(sql("ready_of_team"), parameters).fetchall()
        for seq, job_id, ticket, work_tokens, weight in rows:
            message = Message(JobId(job_id), Ticket(ticket), lane, team, work_tokens, weight)
            yield Ready(seq, message)
        if len(rows) < look:
            return
        after, look = rows[-1][0], min(look * LOOK_GROWTH, limit)
