"""Job records in rows, and every change to them, as steps of a transaction."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headpond.adapters.sqlite.database import sql
from headpond.domain.job import Job, JobError, JobId, JobState, Ticket, Usage
from headpond.domain.lane import Priority
from headpond.ports.jobs import Added, Existing, NewJob

Row = tuple[Any, ...]

_encode_metadata = msgspec.json.Encoder(order="deterministic").encode
_decode_metadata = msgspec.json.Decoder(dict[str, str]).decode
_PRIORITIES: Mapping[str, Priority] = {str(priority): priority for priority in Priority}
_STATES: Mapping[str, JobState] = {str(state): state for state in JobState}


def job_of(row: Sequence[Any]) -> Job:
    """The record in a row of the columns of `get_job.sql`, in their order."""
    (
        job_id, ticket, team, feature, pool, priority, model, task_type, metadata, work_tokens,
        max_attempts, deadline, accepted_at, version, state, attempts, lost_leases, worker,
        engine, queued_at, started_at, finished_at, prompt_tokens, completion_tokens, confidence,
        error_code, error_message,
    ) = row  # fmt: skip
    return Job(
        id=JobId(job_id),
        ticket=Ticket(ticket),
        team=team,
        feature=feature,
        pool=pool,
        priority=_PRIORITIES[priority],
        model=model,
        task_type=task_type,
        metadata=_decode_metadata(metadata) if metadata != "{}" else {},
        work_tokens=work_tokens,
        max_attempts=max_attempts,
        deadline=deadline,
        accepted_at=accepted_at,
        version=version,
        state=_STATES[state],
        attempts=attempts,
        lost_leases=lost_leases,
        worker=worker,
        engine=engine,
        queued_at=queued_at,
        started_at=started_at,
        finished_at=finished_at,
        usage=None if prompt_tokens is None else Usage(prompt_tokens, completion_tokens),
        confidence=confidence,
        error=None if error_code is None else JobError(error_code, error_message),
    )


def add(connection: sqlite3.Connection, new: NewJob, now: float) -> Added | Existing:
    """Insert record, request and idempotency key; or find what the key stands for."""
    job, idempotency = new.job, new.idempotency
    if idempotency is not None:
        key = connection.execute(sql("get_key"), (job.team, idempotency.key, now)).fetchone()
        if key is not None:
            known = get(connection, key[1])
            if known is not None:
                return Existing(known, key[0])
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
    (seq,) = connection.execute(sql("next_job_seq")).fetchone()
    connection.execute(sql("insert_job"), (seq, *_fixed(job), *_changing(job)[1:]))
    connection.execute(sql("insert_request"), (seq, new.request))
    return Added(job)


def get(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """The record, None if there is none."""
    row = connection.execute(sql("get_job"), (job_id,)).fetchone()
    return None if row is None else job_of(row)


def get_with_request(connection: sqlite3.Connection, job_id: str) -> tuple[Job, bytes] | None:
    """The record and its request body, None if there is none."""
    row = connection.execute(sql("get_job_with_request"), (job_id,)).fetchone()
    return None if row is None else (job_of(row[1:]), row[0])


def swap(connection: sqlite3.Connection, after: Job, response: bytes | None = None) -> bool:
    """Replace the record iff its version is one below that of `after`."""
    changed = connection.execute(
        sql("swap_job"), (*_changing(after), after.id, after.version - 1)
    ).rowcount
    if changed and response is not None:
        connection.execute(sql("insert_response"), (response, after.id))
    return changed > 0


def _fixed(job: Job) -> Row:
    """What is set at insert, in the order of `insert_job.sql`."""
    return (
        job.id,
        job.ticket,
        job.team,
        job.feature,
        job.pool,
        job.priority.value,
        job.model,
        job.task_type,
        _encode_metadata(job.metadata).decode() if job.metadata else "{}",
        job.work_tokens,
        job.max_attempts,
        job.deadline,
        job.accepted_at,
    )


def _changing(job: Job) -> Row:
    """What changes from state to state, in the order of `swap_job.sql`."""
    usage, error = job.usage, job.error
    return (
        job.ticket,
        job.version,
        job.state.value,
        job.attempts,
        job.lost_leases,
        job.worker,
        job.engine,
        job.queued_at,
        job.started_at,
        job.finished_at,
        None if usage is None else usage.prompt_tokens,
        None if usage is None else usage.completion_tokens,
        job.confidence,
        None if error is None else error.code,
        None if error is None else error.message,
    )
