"""Whether the archive holds what the audit log has: by reading both."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from headpond.domain.archive import DATA, DAY_S, End, day_in, day_of, end_of
from headpond.ports.audit import Audit, AuditQuery
from headpond.ports.objects import ObjectStore
from headpond.ports.rows import Format


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Ends of a day in the log, rows of it in the archive, and how they differ.

    `missing` are in the log and not in the archive; redaction may have left them out. `doubled`
    are more than once in one format. `gone` are in the archive alone: their jobs had died and were
    redriven or discarded.
    """

    day: str
    ends: int
    rows: int
    missing: tuple[End, ...]
    doubled: tuple[End, ...]
    gone: tuple[End, ...]


async def check_day(
    day: float, *, until: float, audit: Audit, objects: ObjectStore, formats: Sequence[Format]
) -> Checked:
    """Compare a day, which begins at `day`, as far as it is archived. Raises Unavailable."""
    query = AuditQuery(since=day, until=min(day + DAY_S, until))
    ended = {end_of(job) async for job in audit.jobs(query)}
    rows = [await _rows(day_of(day), objects, each) for each in formats]
    everywhere = {end for end in rows[0] if all(end in one for one in rows)}
    doubled = {end for one in rows for end, count in one.items() if count > 1}
    return Checked(
        day=day_of(day),
        ends=len(ended),
        rows=rows[0].total(),
        missing=tuple(sorted(ended - everywhere)),
        doubled=tuple(sorted(doubled)),
        gone=tuple(sorted(everywhere - ended)),
    )


async def _rows(day: str, objects: ObjectStore, written: Format) -> Counter[End]:
    """How often each end has a row of that day in one format."""
    found: Counter[End] = Counter()
    async for name in objects.names(f"{DATA}/"):
        if day_in(name) == day and name.endswith(f".{written.suffix}"):
            data = await objects.get(name)
            if data is not None:
                found.update(written.ends(data))
    return found
