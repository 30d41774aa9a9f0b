"""The archive: which row goes into which object, and what a row says.

Jobs are archived by when they ended, in windows of a fixed length. What a window holds is planned
before anything is written, and the plan, once it is stored, decides: whoever writes the window,
first or again, writes the same rows into objects of the same names.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, NewType
from urllib.parse import quote

import msgspec

from headpond.domain.bounded import bounded
from headpond.domain.job import Job, JobId

ObjectName = NewType("ObjectName", str)
"""Segments joined by `/`."""

DAY_S = 86_400.0
PART = 2_000
PART_BYTES = 8 * 1_048_576
"""Most rows of one object, and most bytes of their bodies unless a single row has more: so much is
held in memory, and goes up at once."""

SEGMENT_BYTES = 255
"""The most that folders have in file systems. Three segments of that leave room for the rest of a
name, which may have 1,024 bytes in S3, Google Cloud Storage and Azure Blob."""

CURSOR = ObjectName("cursor.json")
PLANS = "plans"
DATA = "data"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a job: a pair of request and response with all that is known of it.

    Times are Unix seconds. `request` and `response` are JSON; `request` is None where the bodies
    were erased before, `response` where there is none. `metadata` is a JSON object.
    """

    id: str
    team: str
    feature: str | None
    pool: str
    model: str
    model_version: str | None
    engine: str | None
    task_type: str | None
    priority: str
    batch: str | None
    metadata: str
    state: str
    accepted_at: float
    started_at: float | None
    finished_at: float
    attempts: int
    prompt_tokens: int | None
    completion_tokens: int | None
    price_usd: float | None
    confidence: float | None
    cut_short: bool
    error_code: str | None
    error_message: str | None
    request: str | None
    response: str | None


class Place(msgspec.Struct, frozen=True, order=True):
    """Where rows lie together."""

    day: str
    team: str
    model: str

    @property
    def folder(self) -> str:
        """As Hive, DuckDB, Spark and pyarrow read partitions from names."""
        team, model = _segment("team=", self.team), _segment("model=", self.model)
        return f"{DATA}/{team}/day={self.day}/{model}"


VersionFolder = NewType("VersionFolder", str)
"""That of the model's version within a place, with a `/` behind it; empty for rows without one.

Not `version=V`: DuckDB and Polars refuse a partition that not all files have, and those that older
releases wrote have none.
"""


class End(NamedTuple):
    """An end of a job; one that died, was redriven and ended again has two."""

    at: float
    job: JobId


class Measured(NamedTuple):
    """An end, where its row lies, and the bytes of its bodies."""

    place: Place
    version: VersionFolder
    end: End
    size: int


class Planned(msgspec.Struct, frozen=True):
    """The rows of one object, in their order.

    `name` is its path in the place's folder, without the suffix: the folder of the version, if
    there is one, is part of it. So a release that knows of no versions writes the same objects.
    """

    place: Place
    name: str
    ends: tuple[End, ...]

    def object_name(self, suffix: str) -> ObjectName:
        """Of this object in one format."""
        return ObjectName(f"{self.place.folder}/{self.name}.{suffix}")


class Plan(msgspec.Struct, frozen=True):
    """What is written of the jobs that ended from `since` (incl.) to `until` (excl.)."""

    since: float
    until: float
    objects: tuple[Planned, ...]


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """All that ended before `until` is archived; days before `checked` were looked at twice."""

    until: float
    checked: float


def _segment(prefix: str, value: str) -> str:
    """A folder's name; the end of one that is too long is a digest.

    As `quote` leaves a tilde alone, no value that is short is written as a long one is.
    """
    room = SEGMENT_BYTES - len(prefix)
    return prefix + bounded(value, room, write=_quoted, before_digest="%7E")


def _quoted(text: str) -> str:
    return quote(text, safe="")


def row_of(job: Job, request: bytes, response: bytes | None) -> Row:
    """The row of a job that has ended."""
    usage = job.usage
    return Row(
        id=job.id,
        team=job.team,
        feature=job.feature,
        pool=job.pool,
        model=job.model,
        model_version=job.model_version,
        engine=job.engine,
        task_type=job.task_type,
        priority=job.priority.value,
        batch=job.batch,
        metadata=msgspec.json.encode(job.metadata).decode(),
        state=job.state.value,
        accepted_at=job.accepted_at,
        started_at=job.started_at,
        finished_at=job.finished_at or 0.0,
        attempts=job.attempts,
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
        price_usd=None if job.quote is None else job.quote.price_usd,
        confidence=job.confidence,
        cut_short=job.cut_short,
        error_code=None if job.error is None else job.error.code,
        error_message=None if job.error is None else job.error.message,
        request=request.decode() or None,
        response=None if response is None else response.decode(),
    )


def window_of(at: float, span_s: int) -> tuple[float, float]:
    """The window that a time is in. Windows begin with the days, so none is of two of them.

    Spans are whole seconds, as the names of windows are.
    """
    day = at // DAY_S * DAY_S
    since = day + (at - day) // span_s * span_s
    return since, min(since + span_s, day + DAY_S)


def place_of(job: Job) -> Place:
    """Where a job's row lies."""
    return Place(day_of(job.finished_at or 0.0), job.team, job.model)


def version_folder(model_version: str | None) -> VersionFolder:
    """Where the rows of a version lie within their place."""
    if model_version is None:
        return VersionFolder("")
    return VersionFolder(f"{_segment('version-', model_version)}/")


def plan_of(ended: Iterable[Measured], since: float, until: float, name: str) -> Plan:
    """The ends of a span in objects named `name` and a number, each as small as it has to be."""
    ends: defaultdict[tuple[Place, VersionFolder], list[tuple[End, int]]] = defaultdict(list)
    for place, version, end, size in ended:
        ends[place, version].append((end, size))
    objects = [
        Planned(place, f"{version}{name}-{number}", some)
        for place, version in sorted(ends)
        for number, some in enumerate(_parts(sorted(ends[place, version])))
    ]
    return Plan(since, until, tuple(objects))


def end_of(job: Job) -> End:
    """The end of a job that has ended."""
    return End(job.finished_at or 0.0, job.id)


def measured(job: Job, size: int) -> Measured:
    """The end of a job whose bodies have so many bytes."""
    return Measured(place_of(job), version_folder(job.model_version), end_of(job), size)


def _parts(ends: list[tuple[End, int]]) -> Iterator[tuple[End, ...]]:
    part: list[End] = []
    held = 0
    for end, size in ends:
        if part and (len(part) == PART or held + size > PART_BYTES):
            yield tuple(part)
            part, held = [], 0
        part.append(end)
        held += size
    yield tuple(part)


def name_of_window(since: float) -> str:
    """Its time of day."""
    return datetime.fromtimestamp(since, UTC).strftime("%H%M%S")


def day_of(at: float) -> str:
    """The day (UTC) that a time is in."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def plan_name(since: float, name: str) -> ObjectName:
    """Where a plan lies."""
    return ObjectName(f"{PLANS}/day={day_of(since)}/{name}.json")


def plans_of_day(at: float) -> str:
    """The prefix of a day's plans."""
    return f"{PLANS}/day={day_of(at)}/"


def day_in(name: ObjectName) -> str | None:
    """The day that an object is of, None if of none."""
    fields: Mapping[str, str] = dict(part.split("=", 1) for part in name.split("/") if "=" in part)
    return fields.get("day")
