"""The archivist: puts every end of a job into the archive, once.

It goes along the audit log in windows of time, some time behind, so that what is written late by
a slow process is there. For each window it stores a plan, then the objects that the plan names,
then moves the cursor. A crash in between is healed by doing the window again: the plan stands, so
the objects that are missing are written, with the same rows. Any number may run at once.

The cursor goes from where a plan begins to where it ends, also over a time in which nothing ended,
and of all plans that begin at one time a single one is stored. So plans never overlap, and leave
nothing out between them, even while some archivists have longer windows than others.

An object that is there is never written again. It is whole, its rows are those of its plan, and a
window's was written before the cursor passed it, so before retention could erase a body. Whoever
does the window again may find less, where bodies were erased or a dead job went on, or write it
differently, where redaction or the library of a format is another by now: the first one stands.

Bodies are read twice: once to measure them, since the plan says which rows go into an object and
an object must be small enough to be held and sent, and once to write them, object by object. No
more bodies than those of one object, and of a few jobs on their way, are held at a time.

Each day is looked at again a day later. What was late by more than the archivist was behind is
planned and written then.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import chain

import msgspec
from msgspec.structs import replace

from headpond.domain.archive import (
    CURSOR,
    DATA,
    DAY_S,
    PLANS,
    Cursor,
    End,
    Measured,
    Plan,
    Planned,
    day_in,
    day_of,
    end_of,
    measured,
    name_of_window,
    plan_name,
    plan_of,
    plans_of_day,
    row_of,
    window_of,
)
from headpond.domain.job import Job, JobState
from headpond.ports.audit import Audit, AuditEntry, AuditQuery
from headpond.ports.clock import Clock
from headpond.ports.jobs import JobStore
from headpond.ports.objects import ObjectStore
from headpond.ports.rows import Fields, Format
from headpond.services.side_by_side import side_by_side

Redact = Callable[[dict[str, object]], Fields | None]
"""Makes of a row what may be archived; None leaves it out."""

LATE = "late"
"""The name of what the second look at a day finds."""

AT_ONCE = 8
"""Jobs whose bodies are read side by side."""

_encode = msgspec.json.Encoder().encode
_decode_cursor = msgspec.json.Decoder(Cursor).decode
_decode_plan = msgspec.json.Decoder(Plan).decode


class Archivist:
    """Works `settle_s` seconds behind. `keep_s` is how long days are kept, None for ever."""

    def __init__(
        self,
        audit: Audit,
        jobs: JobStore,
        objects: ObjectStore,
        formats: Sequence[Format],
        *,
        redact: Redact | None,
        span_s: int,
        settle_s: float,
        keep_s: float | None,
        clock: Clock,
    ) -> None:
        self._audit = audit
        self._jobs = jobs
        self._objects = objects
        self._formats = formats
        self._redact = redact
        self._span_s = span_s
        self._settle_s = settle_s
        self._keep_s = keep_s
        self._clock = clock

    async def until(self) -> float:
        """All that ended before then is archived; 0 before the first. Raises Unavailable."""
        cursor = await self._cursor()
        return 0.0 if cursor is None else cursor.until

    async def checked(self) -> float:
        """The days before then were looked at again; 0 before the first. Raises Unavailable."""
        cursor = await self._cursor()
        return 0.0 if cursor is None else cursor.checked

    async def tick(self) -> int:
        """Archive all that is due, and remove what is too old; returns how many windows it wrote.

        Raises Unavailable, and whatever redaction raises: nothing is written unredacted.
        """
        settled = self._clock.now() - self._settle_s
        cursor = await self._cursor() or await self._moved(await self._beginning(settled))
        written = 0
        while (plan := await self._next_plan(cursor.until, settled)) is not None:
            if plan.objects:
                await self._write(plan)
                written += 1
            cursor = await self._moved(replace(cursor, until=plan.until))
        while cursor.checked + 2 * DAY_S <= cursor.until:
            await self._look_again(cursor.checked)
            if self._keep_s is not None:
                await self._remove_before(day_of(self._clock.now() - self._keep_s))
            cursor = await self._moved(replace(cursor, checked=cursor.checked + DAY_S))
        return written

    async def _cursor(self) -> Cursor | None:
        stored = await self._objects.get(CURSOR)
        return None if stored is None else _decode_cursor(stored)

    async def _beginning(self, settled: float) -> Cursor:
        """An archive begins with the day of the first end in the log."""
        first = await self._first_end(0.0, settled)
        day = (settled if first is None else first) // DAY_S * DAY_S
        return Cursor(until=day, checked=day)

    async def _moved(self, cursor: Cursor) -> Cursor:
        """The cursor that is stored now: this one, or one that another archivist moved further."""
        stored = await self._cursor()
        if stored is not None:
            cursor = Cursor(
                until=max(cursor.until, stored.until), checked=max(cursor.checked, stored.checked)
            )
        if cursor != stored:
            # Who stalls just here sets it back. Then some is read again, and nothing written again.
            await self._objects.put(CURSOR, _encode(cursor))
        return cursor

    async def _next_plan(self, since: float, settled: float) -> Plan | None:
        """The plan that begins at `since`, None if what it is of has not settled.

        Of a window, or of nothing up to the next one in which something ended.
        """
        first = await self._first_end(since, settled)
        begins, ends = window_of(settled if first is None else first, self._span_s)
        name = name_of_window(since)
        if since < begins:
            return await self._plan(name, Plan(since, begins, ()))
        if settled < ends:
            return None
        ended = await self._measured(self._audit.jobs(AuditQuery(since=since, until=ends)))
        return await self._plan(name, plan_of(ended, since, ends, name))

    async def _first_end(self, since: float, until: float) -> float | None:
        query = AuditQuery(since=since, until=until, limit=1)
        async for job in self._audit.jobs(query):
            return job.finished_at
        return None

    async def _look_again(self, day: float) -> None:
        """What ended on a day and is in no plan of it."""
        planned: set[End] = set()
        async for name in self._objects.names(plans_of_day(day)):
            if name != plan_name(day, LATE):
                stored = await self._objects.get(name)
                planned.update(_ends(_decode_plan(stored or b"").objects))
        jobs = self._audit.jobs(AuditQuery(since=day, until=day + DAY_S))
        late = await self._measured(job async for job in jobs if end_of(job) not in planned)
        if late:
            await self._write(await self._plan(LATE, plan_of(late, day, day + DAY_S, LATE)))

    async def _plan(self, name: str, plan: Plan) -> Plan:
        """The plan that counts: this one, or one that was stored before."""
        where = plan_name(plan.since, name)
        if await self._objects.put_new(where, _encode(plan)):
            return plan
        return _decode_plan(await self._objects.get(where) or b"")

    async def _write(self, plan: Plan) -> None:
        """Every object of the plan, one after the other."""
        ends = set(_ends(plan.objects))
        found = self._audit.jobs(AuditQuery(since=plan.since, until=plan.until))
        jobs = {end: job async for job in found if (end := end_of(job)) in ends}
        for planned in plan.objects:
            # What is missing had died, and was redriven or discarded since: it ends again, later.
            await self._put(planned, [jobs[end] for end in planned.ends if end in jobs])

    async def _put(self, planned: Planned, jobs: Sequence[Job]) -> None:
        entries = self._with_bodies(_one_by_one(jobs))
        rows = [row async for entry in entries if (row := self._row(entry)) is not None]
        for each in self._formats:
            await self._objects.put_new(planned.object_name(each.suffix), each.encode(rows))

    async def _measured(self, jobs: AsyncIterator[Job]) -> list[Measured]:
        return [
            measured(entry.job, len(entry.request) + len(entry.response or b""))
            async for entry in self._with_bodies(jobs)
        ]

    async def _with_bodies(self, jobs: AsyncIterator[Job]) -> AsyncIterator[AuditEntry]:
        async for some in _in_groups(jobs, AT_ONCE):
            for entry in await side_by_side(map(self._entry, some)):
                yield entry

    async def _entry(self, job: Job) -> AuditEntry:
        bodies = await self._jobs.bodies(job.id)
        if bodies is None:
            return AuditEntry(job, b"")
        # One that had died may have been redriven since, and have succeeded.
        response = bodies.response if job.state is JobState.SUCCEEDED else None
        return AuditEntry(job, bodies.request, response)

    def _row(self, entry: AuditEntry) -> Fields | None:
        row = row_of(entry.job, entry.request, entry.response)
        fields = msgspec.structs.asdict(row)
        if self._redact is None:
            return fields
        redacted = self._redact(fields)
        # Whatever else goes: what the row is of, and whether it is there, must be known.
        known = {"id": row.id, "finished_at": row.finished_at}
        return None if redacted is None else {**redacted, **known}

    async def _remove_before(self, last: str) -> None:
        for prefix in (f"{DATA}/", f"{PLANS}/"):
            async for name in self._objects.names(prefix):
                day = day_in(name)
                if day is not None and day < last:
                    await self._objects.delete(name)


def _ends(objects: Iterable[Planned]) -> Iterator[End]:
    return chain.from_iterable(planned.ends for planned in objects)


async def _one_by_one(jobs: Iterable[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job


async def _in_groups(jobs: AsyncIterator[Job], size: int) -> AsyncIterator[list[Job]]:
    group: list[Job] = []
    async for job in jobs:
        group.append(job)
        if len(group) == size:
            yield group
            group = []
    yield group
