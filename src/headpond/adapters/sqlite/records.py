"""Job records in rows, and every change to them, as steps of a transaction."""

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from headpond.adapters.sqlite import dispatches, foreign
from headpond.adapters.sqlite.connection import sql
from headpond.domain.job import Job
from headpond.domain.stored import job_of, readable, record_of
from headpond.domain.webhook_event import job_events
from headpond.ports.jobs import HELD_ON_S, Added, Existing, Idempotency, NewJob, Try


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
    _tell(connection, [new.job for _, new in added if new.job.state.terminal])


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
        record_of(job),
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
    """Forget expired keys and tries, at most `limit` of each; hold those of jobs that go on."""
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


def stands(connection: sqlite3.Connection, job: Job) -> bool:
    """Whether the record's version is the job's still; the record itself is not read."""
    row = connection.execute(sql("job_at_version"), (job.id, job.version)).fetchone()
    return row is not None


class Found(NamedTuple):
    """A row of a job with its request body. A `job` that is None cannot be read."""

    seq: int
    job: Job | None
    request: bytes


def get_with_requests(connection: sqlite3.Connection, job_ids: Sequence[str]) -> dict[str, Found]:
    """What there is of them, by id."""
    rows = connection.execute(sql("get_jobs_with_requests"), (json.dumps(job_ids),))
    return {
        job_id: Found(seq, readable(record, job_id), request)
        for seq, job_id, record, request in rows
    }


def begin_all(connection: sqlite3.Connection, begun: Sequence[tuple[int, Job]]) -> None:
    """Replace records, by the numbers of their rows, by those of jobs that run now.

    Whoever calls has read them in the same transaction, so each stands where it is expected.
    """
    texts = _texts(connection, [after for _, after in begun])
    rows = [(after.version, text, seq) for (seq, after), text in zip(begun, texts, strict=True)]
    connection.executemany(sql("begin_job"), rows)


def swap(connection: sqlite3.Connection, after: Job, response: bytes | None = None) -> bool:
    """Replace the record iff its version is one below that of `after`.

    A job that ends with this leaves the dispatches of its event, if anybody is to be told.
    """
    return swap_all(connection, [(after, response)])[0]


def swap_all(
    connection: sqlite3.Connection, swaps: Sequence[tuple[Job, bytes | None]]
) -> list[bool]:
    """As `swap` for each in turn; they share their statements."""
    seqs = replace_all(connection, [after for after, _ in swaps])
    written = [(seq, *each) for seq, each in zip(seqs, swaps, strict=True) if seq is not None]
    responses = [(seq, response) for seq, _, response in written if response is not None]
    connection.executemany(sql("insert_response"), responses)
    _tell(connection, [after for _, after, _ in written if after.state.terminal])
    return [seq is not None for seq in seqs]


def replace_all(connection: sqlite3.Connection, afters: Sequence[Job]) -> list[int | None]:
    """Replace each record in turn iff its version is one below; nobody is told.

    Returns the numbers of the rows, None for a record that stayed as it was.
    """
    # Nobody else writes within this transaction, so a look says whose write would miss.
    ids = json.dumps([after.id for after in afters])
    found = connection.execute(sql("rows_of"), (ids,)).fetchall()
    standing = {(job_id, version): seq for job_id, version, seq in found}
    seqs: list[int | None] = []
    for after in afters:
        seq = standing.pop((after.id, after.version - 1), None)
        if seq is not None:
            standing[after.id, after.version] = seq
        seqs.append(seq)
    moving = [(seq, after) for seq, after in zip(seqs, afters, strict=True) if seq is not None]
    texts = _texts(connection, [after for _, after in moving])
    rows = [_next_row(seq, after, text) for (seq, after), text in zip(moving, texts, strict=True)]
    connection.executemany(sql("replace_job"), rows)
    return seqs


def _texts(connection: sqlite3.Connection, afters: Sequence[Job]) -> list[str]:
    """The records as they are to be stored."""
    if foreign.overtaken(connection):
        return [foreign.with_foreign(connection, after, "get_job", after.id) for after in afters]
    return [record_of(after) for after in afters]


def erase(connection: sqlite3.Connection, after: Job) -> bool:
    """Replace the record as `swap` does, and remove its bodies. It has ended before: no event."""
    (seq,) = replace_all(connection, [after])
    if seq is None:
        return False
    connection.execute(sql("erase_request"), (seq,))
    connection.execute(sql("erase_response"), (seq,))
    return True


def _tell(connection: sqlite3.Connection, ended: Sequence[Job]) -> None:
    """Leave dispatches for those whose team has endpoints, and for those with a callback."""
    if not ended:
        return
    teams = dispatches.with_endpoints(connection, {after.team for after in ended})
    for after in ended:
        if after.team in teams or after.callback is not None:
            own, *more = job_events(after)
            dispatches.publish(connection, own, after.callback)
            for event in more:
                dispatches.publish(connection, event)


def _next_row(seq: int, after: Job, record: str) -> tuple[object, ...]:
    return (
        after.version,
        after.state.value,
        after.finished_at,
        record,
        seq,
    )
