"""Messages in rows, and every change to them, as statements.

A lease token is the row's number and a nonce that is new with each receipt, so an old token finds
nothing. A lease also holds only while its time runs: `now` is a parameter of each statement. See
the page on top of `migrations/0002_lanes.sql`.
"""

import secrets
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from headpond.adapters.postgres.database import Database
from headpond.domain.fairness import charge
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import Lane, Priority
from headpond.ports.queue import Lease, LeaseToken, Message


class Received(NamedTuple):
    """A lease, with what stands in the job's record: None and no bytes where there is none."""

    lease: Lease
    record: str | None
    request: bytes


async def receive(
    database: Database, lanes: Sequence[Lane], *, limit: int, now: float, lease_s: float
) -> list[Received]:
    """Lease up to `limit` ready messages, earlier lanes first, teams in turn."""
    nonce = secrets.token_hex(8)
    names = [str(lane) for lane in lanes]
    rows = await database.write("receive", names, limit, now, now + lease_s, nonce, synced=False)
    database.vacuum.count(len(rows))
    return [
        Received(
            Lease(
                Message(JobId(job), Ticket(ticket), _lane(lane), team, work_tokens, weight),
                LeaseToken(f"{seq}.{nonce}"),
            ),
            record,
            request or b"",
        )
        for seq, lane, job, ticket, team, work_tokens, weight, record, request in rows
    ]


@cache
def _lane(name: str) -> Lane:
    pool, _, priority = name.rpartition("/")
    return Lane(pool, Priority(priority))


def held(leases: Sequence[Lease]) -> tuple[list[int], list[str]]:
    """The rows' numbers and the nonces of leases, as columns."""
    parts = [lease.token.partition(".") for lease in leases]
    return [int(seq) for seq, _, _ in parts], [nonce for _, _, nonce in parts]


def columns(messages: Sequence[Message]) -> tuple[list[object], ...]:
    """What `send` takes of messages."""
    return (
        [str(message.lane) for message in messages],
        [message.job_id for message in messages],
        [message.ticket for message in messages],
        [message.team for message in messages],
        [message.work_tokens for message in messages],
        [message.weight for message in messages],
        [charge(message.work_tokens, message.weight) for message in messages],
    )
