"""Job records in rows, and every change to them, as steps of a transaction."""

import json
import logging
import sqlite3
from collections.abc import Sequence

import msgspec

from headpond.adapters.sqlite import dispatches
from headpond.adapters.sqlite.connection import sql
from headpond.domain.job import Job
from headpond.domain.webhook_event import job_event
from headpond.ports.jobs import HELD_ON_S, Added, Existing, Idempotency, NewJob, Try

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


def job_of(record: str) -> Job:
    """The record as it was stored."""
    return _decode(record)


def readable(record: str, job_id: str = "a job") -> Job | None:
    """The record, None for one of a newer release or a damaged one: others are not to suffer."""
    try:
        return job_of(record)
    except msgspec.MsgspecError:
        log.exception("the record of %s cannot be read: %s", job_id, record[:200])
        return None


def add(
    connection: sqlite3.Connection, news: Sequence[NewJob], now: float
) -> list[Added | Existing]:
    """Insert records and requests with keys or tries; or find the jobs that stand already."""
    fresh = iter(_insert(connection, [new for new in news if _surely_new(new)]))
    return [next(fresh) if _surely_new(new) else _add_or_find(connection, new, now) for new in news]


def _surely_new(new: NewJob) -> bool:
    """Whether no look is needed: nothing comes before the first try, and most requests are one."""
    match new.idempotency:
        case None | Try(number=0):
            return True
        case _:
            return False


def _add_or_find(connection: sqlite3.Connection, new: NewJob, now: float) -> Added | Existing:
    existing = _existing(connection, new.job.team, new.idempotency, now)
    if existing is not None:
        return existing
    return _insert(connection, [new])[0]


def _insert(connection: sqlite3.Connection, news: Sequence[NewJob]) -> list[Added | Existing]:
    # Nobody else inserts within this transaction, so the next numbers are ours.
    (last,) = connection.execute(sql("last_seq")).fetchone()
    numbered = list(enumerate(news, last + 1))
    rows = [_new_row(seq, new.job) for seq, new in numbered]
    if connection.executemany(sql("insert_job"), rows).rowcount == len(rows):
        added = numbered
    else:
        taken = {seq for (seq,) in connection.execute(sql("seqs_after"), (last,))}
        added = [(seq, new) for seq, new in numbered if seq in taken]
    _insert_rest(connection, added)
    seqs = {seq for seq, _ in added}
    return [
        Added(new.job) if seq in seqs else _standing(connection, new.job) for seq, new in numbered
    ]


def _standing(connection: sqlite3.Connection, job: Job) -> Existing:
    (record,) = connection.execute(sql("get_job"), (job.id,)).fetchone()
    return Existing(job_of(record), "")


def _insert_rest(connection: sqlite3.Connection, added: Sequence[tuple[int, NewJob]]) -> None:
    connection.executemany(sql("insert_request"), [(seq, new.request) for seq, new in added])
    for seq, new in added:
        match new.idempotency:
            case Idempotency(key, fingerprint, expires_at):
                row = (new.job.team, key, fingerprint, new.job.id, expires_at)
                connection.execute(sql("put_key"), row)
            case Try(fingerprint, number, expires_at):
                row = (seq, fingerprint, number, expires_at)
                connection.execute(sql("put_try"), row)
            case None:
                pass


def _new_row(seq: int, job: Job) -> tuple[object, ...]:
    return (
        seq,
        job.id,
        job.version,
        job.team,
        job.model,
        job.state.value,
        job.accepted_at,
        job.deadline,
        job.finished_at,
        job.batch,
        _encode(job).decode(),
    )


def known(connection: sqlite3.Connection, team: str, key: str, now: float) -> Existing | None:
    """What a team's idempotency key stands for, None if it holds no more."""
    row = connection.execute(sql("get_key"), (team, key, now)).fetchone()
    return None if row is None else Existing(job_of(row[1]), row[0])


def retried(connection: sqlite3.Connection, again: Try, now: float) -> Existing | None:
    """Take over the job of an earlier try, None if there is none."""
    parameters = {"fingerprint": again.fingerprint, "number": again.number, "now": now}
    row = connection.execute(sql("earlier_try"), parameters).fetchone()
    if row is None:
        return None
    seq, record = row
    connection.execute(sql("take_try"), (again.number, again.expires_at, seq))
    return Existing(job_of(record), again.fingerprint)


def forget_keys(connection: sqlite3.Connection, now: float, limit: int) -> int:
    """Drop expired keys and tries, at most `limit` of each; hold keys whose jobs have not ended."""
    expired = connection.execute(sql("expired_keys"), (now, limit)).fetchall()
    gone = [(team, key) for team, key, ended in expired if ended]
    held = [(now + HELD_ON_S, team, key) for team, key, ended in expired if not ended]
    connection.executemany(sql("forget_key"), gone)
    connection.executemany(sql("hold_key"), held)
    tries = connection.execute(sql("forget_tries"), {"now": now, "limit": limit}).rowcount
    return len(gone) + tries


def _existing(
    connection: sqlite3.Connection, team: str, idempotency: Idempotency | Try | None, now: float
) -> Existing | None:
    match idempotency:
        case Idempotency(key):
            return known(connection, team, key, now)
        case Try():
            return retried(connection, idempotency, now)
        case None:
            return None


def get(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """The record, None if there is none."""
    row = connection.execute(sql("get_job"), (job_id,)).fetchone()
    return None if row is None else job_of(row[0])


def get_with_requests(
    connection: sqlite3.Connection, job_ids: Sequence[str]
) -> dict[str, tuple[Job | None, bytes]]:
    """The records that there are, each with its request body, by id; None cannot be read."""
    rows = connection.execute(sql("get_jobs_with_requests"), (json.dumps(job_ids),))
    return {job_id: (readable(record, job_id), request) for job_id, record, request in rows}


def swap(connection: sqlite3.Connection, after: Job, response: bytes | None = None) -> bool:
    """Replace the record iff its version is one below that of `after`.

    A job that ends with this leaves the dispatches of its event, if anybody is to be told.
    """
    row = _next_row(after)
    if not after.state.terminal:
        return connection.execute(sql("swap_job"), row).rowcount > 0
    ended = connection.execute(sql("end_job"), (*row, after.team)).fetchone()
    if ended is None:
        return False
    if response is not None:
        connection.execute(sql("insert_response"), (response, after.id))
    (has_endpoints,) = ended
    if has_endpoints or after.callback is not None:
        dispatches.publish(connection, job_event(after), after.callback)
    return True


def begin(connection: sqlite3.Connection, afters: Sequence[Job]) -> None:
    """Replace the records of jobs that begin to run; they were read in this transaction."""
    connection.executemany(sql("swap_job"), map(_next_row, afters))


def erase(connection: sqlite3.Connection, after: Job) -> bool:
    """Replace the record as `swap` does, and remove its bodies. It has ended before: no event."""
    if connection.execute(sql("swap_job"), _next_row(after)).rowcount == 0:
        return False
    connection.execute(sql("erase_request"), (after.id,))
    connection.execute(sql("erase_response"), (after.id,))
    return True


def _next_row(after: Job) -> tuple[object, ...]:
    return (
        after.version,
        after.state.value,
        after.finished_at,
        _encode(after).decode(),
        after.id,
        after.version - 1,
    )
