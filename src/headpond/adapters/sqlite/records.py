"""Job records in rows, and every change to them, as steps of a transaction."""

import sqlite3

import msgspec

from headpond.adapters.sqlite.connection import sql
from headpond.domain.job import Job
from headpond.ports.jobs import Added, Existing, NewJob

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


def job_of(record: str) -> Job:
    """The record as it was stored."""
    return _decode(record)


def add(connection: sqlite3.Connection, new: NewJob, now: float) -> Added | Existing:
    """Insert record, request and idempotency key; or find what the key stands for."""
    job, idempotency = new.job, new.idempotency
    if idempotency is not None:
        existing = known(connection, job.team, idempotency.key, now)
        if existing is not None:
            return existing
        connection.execute(
            sql("put_key"),
            (
                job.team,
                idempotency.key,
                idempotency.fingerprint,
                job.id,
                idempotency.expires_at,
            ),
        )
    inserted = connection.execute(
        sql("insert_job"),
        (
            job.id,
            job.version,
            job.team,
            job.model,
            job.state.value,
            job.accepted_at,
            job.deadline,
            job.finished_at,
            _encode(job).decode(),
        ),
    )
    connection.execute(sql("insert_request"), (inserted.lastrowid, new.request))
    return Added(job)


def known(connection: sqlite3.Connection, team: str, key: str, now: float) -> Existing | None:
    """What a team's idempotency key stands for, None if for nothing or expired."""
    row = connection.execute(sql("get_key"), (team, key, now)).fetchone()
    if row is None:
        return None
    job = get(connection, row[1])
    return None if job is None else Existing(job, row[0])


def get(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """The record, None if there is none."""
    row = connection.execute(sql("get_job"), (job_id,)).fetchone()
    return None if row is None else job_of(row[0])


def get_with_request(connection: sqlite3.Connection, job_id: str) -> tuple[Job, bytes] | None:
    """The record and its request body, None if there is none."""
    row = connection.execute(sql("get_job_with_request"), (job_id,)).fetchone()
    return None if row is None else (job_of(row[0]), row[1])


def swap(connection: sqlite3.Connection, after: Job, response: bytes | None = None) -> bool:
    """Replace the record iff its version is one below that of `after`."""
    changed = connection.execute(
        sql("swap_job"),
        (
            after.version,
            after.state.value,
            after.finished_at,
            _encode(after).decode(),
            after.id,
            after.version - 1,
        ),
    ).rowcount
    if changed and response is not None:
        connection.execute(sql("insert_response"), (response, after.id))
    return changed > 0
