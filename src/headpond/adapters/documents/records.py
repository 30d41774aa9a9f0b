"""Job records and bodies as items, and the writes that change them."""

from collections.abc import Iterable, Sequence
from itertools import count

import msgspec

from headpond.adapters.documents.table import (
    Change,
    Item,
    Key,
    Put,
    Table,
    Value,
    Write,
    at,
    raw,
    shard_of,
)
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.ports.jobs import Bodies, NewJob

PIECE = 300_000
"""Bytes of a body in one item, which may have 400 KB."""

ENDS = ("ended", "dead")
"""Where the agenda has jobs that ended, by the time of it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Job).decode


def key_of(job_id: JobId) -> Key:
    """Where its record is."""
    return Key(f"job#{job_id}", "job")


def job_of(item: Item) -> Job:
    """The record."""
    return _decode(raw(item))


def new_items(new: NewJob) -> list[Write]:
    """The record, first, and the request."""
    job = new.job
    shard = shard_of(job.id)
    item: Item = {
        **_named(key_of(job.id)),
        "family": family_of(job.team, shard),
        "name": job.id,
        **{name: value for name, value in _moving(job).items() if value is not None},
    }
    return [Put(item, absent=True), *_body(job.id, "request", new.request)]


def changed(after: Job, response: bytes | None = None) -> list[Write]:
    """The record in the place of that one version below, first, and the response."""
    replaced = Change(key_of(after.id), _moving(after), {"version": after.version - 1})
    return [replaced, *([] if response is None else _body(after.id, "response", response))]


def bodies_of(items: Iterable[Item]) -> Bodies | None:
    """Both bodies of what lies beside a record; None if they are not there."""
    pieces: dict[str, list[bytes]] = {}
    for item in items:
        if "body" in item:
            name = str(item["sk"]).partition("#")[0]
            pieces.setdefault(name, []).append(raw(item, "body"))
    if "request" not in pieces:
        return None
    response = pieces.get("response")
    return Bodies(b"".join(pieces["request"]), None if response is None else b"".join(response))


async def read_bodies(table: Table, job_id: JobId) -> Bodies | None:
    """Both bodies of a job; None if they are not there."""
    return bodies_of(await table.under(f"job#{job_id}", sk="re"))


def family_of(team: str, shard: int) -> str:
    """A part of the list of a team's jobs."""
    return f"jobs#{shard}#{team}"


def lines_of(batch: BatchId, shard: int) -> str:
    """A part of the index of a batch's lines."""
    return f"{shard}#{batch}"


def agenda_of(kind: str, shard: int) -> str:
    """A part of what the agenda holds of a kind."""
    return f"{kind}#{shard}"


def _moving(job: Job) -> dict[str, Value | None]:
    """What follows from a job's state; None is what it has not."""
    kind, when = _stage(job)
    shard = shard_of(job.id)
    line = None if job.batch is None else lines_of(job.batch, shard)
    return {
        "version": job.version,
        "record": _encode(job),
        "agenda": agenda_of(kind, shard),
        "at": when,
        "line_of": line,
        "line": None if line is None else f"{job.state}#{job.id}",
    }


def _stage(job: Job) -> tuple[str, str]:
    """What the job is in the agenda for, and its place there: by time, or by its id."""
    match job:
        case Job(state=JobState.DEAD):
            return "dead", at(job.finished_at or 0.0, job.id)
        case Job(state=state) if state.terminal:
            return "ended", at(job.finished_at or 0.0, job.id)
        case Job(state=JobState.ACCEPTED):
            return "accepted", at(job.accepted_at, job.id)
        case Job(deadline=float(deadline)):
            return "deadline", at(deadline, job.id)
        case _:
            return "open", job.id


def _body(job_id: JobId, name: str, body: bytes) -> Sequence[Put]:
    numbers = count()
    pieces = [body[begin : begin + PIECE] for begin in range(0, len(body), PIECE)] or [b""]
    return [
        Put({**_named(Key(f"job#{job_id}", f"{name}#{next(numbers):04d}")), "body": piece})
        for piece in pieces
    ]


def _named(key: Key) -> Item:
    return {"pk": key.pk, "sk": key.sk}
