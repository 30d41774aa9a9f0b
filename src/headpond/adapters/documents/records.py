"""Job records as items, and the writes that change them."""

import msgspec

from headpond.adapters.documents.table import (
    Change,
    Item,
    Key,
    Put,
    Value,
    at,
    raw,
    shard_of,
)
from headpond.domain import stored
from headpond.domain.job import BatchId, Job, JobId, JobState

ENDS = ("ended", "dead")
"""Where the agenda has jobs that ended, by the time of it."""

_encode = msgspec.json.Encoder().encode


def key_of(job_id: JobId) -> Key:
    """Where its record is."""
    return Key(f"job#{job_id}", "job")


def job_of(item: Item) -> Job:
    """The record. Raises Unreadable."""
    return stored.job_of(raw(item))


def readable(item: Item) -> Job | None:
    """The record, None if it cannot be read."""
    return stored.readable(raw(item), str(item["pk"]).removeprefix("job#"))


def new_record(job: Job) -> Put:
    """The record, where there is none."""
    item: Item = {
        **_named(key_of(job.id)),
        "family": family_of(job.team, shard_of(job.id)),
        "name": job.id,
        **{name: value for name, value in _moving(job).items() if value is not None},
    }
    return Put(item, absent=True)


def changed(after: Job) -> Change:
    """The record in the place of that one version below."""
    return Change(key_of(after.id), _moving(after), {"version": after.version - 1})


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


def _named(key: Key) -> Item:
    return {"pk": key.pk, "sk": key.sk}
