"""The archive of a world: written by its gateways, and compared with its audit log at the end."""

import gzip
from itertools import chain

import msgspec
from typing_extensions import override

from headpond.adapters.memory.objects import MemoryObjects
from headpond.adapters.rows.jsonl import JsonLines
from headpond.domain.archive import DATA, DAY_S, End
from headpond.domain.job import JobId, JobState
from headpond.ports.audit import Audit
from headpond.ports.clock import Clock
from headpond.ports.jobs import JobStore
from headpond.ports.objects import ObjectStore
from headpond.services.archive_check import check_day
from headpond.services.archivist import LATE, Archivist
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.processes import ProcessClock

SPAN_S = 10
SETTLE_S = 2.0
"""Less than some ends take to be written: these are late, and found by the second look at a day."""

FORMATS = (JsonLines(),)


class DaysLater(Clock):
    """Every day of a world has been over for a day."""

    @override
    def now(self) -> float:
        return ProcessClock().now() + 3 * DAY_S


class ArchivedRow(msgspec.Struct):
    """What of a row is looked at."""

    id: JobId
    finished_at: float
    state: JobState
    request: dict[str, object] | None


def archivist_on(audit: Audit, jobs: JobStore, objects: ObjectStore, clock: Clock) -> Archivist:
    """One of possibly several."""
    return Archivist(
        audit,
        jobs,
        objects,
        FORMATS,
        redact=None,
        span_s=SPAN_S,
        settle_s=SETTLE_S,
        keep_s=None,
        clock=clock,
    )


async def check_archive(
    audit: Audit, jobs: JobStore, objects: MemoryObjects, ledger: Ledger, fates: Fates
) -> None:
    """Once the last day has been looked at again, every end is there once, with what was asked."""
    archivist = archivist_on(audit, jobs, objects, DaysLater())
    await archivist.tick()
    until = await archivist.until()
    written = {name: _rows(data) for name, data in objects.stored.items() if name.startswith(DATA)}
    rows = chain.from_iterable(written.values())
    deaths = {End(row.finished_at, row.id) for row in rows if row.state is JobState.DEAD}
    for day in {(job.finished_at or 0.0) // DAY_S * DAY_S for job in ledger.records.values()}:
        found = await check_day(day, until=until, audit=audit, objects=objects, formats=FORMATS)
        if found.missing or found.doubled:
            fates.violated(
                f"of {found.day} the archive lacks {found.missing}, doubles {found.doubled}"
            )
        for end in set(found.gone) - deaths:
            fates.violated(f"the archive has an end of {end.job} that the audit log has not")
    for name, rows in written.items():
        # What is late is found after a day, and its bodies may have been erased until then.
        for row in rows if f"/{LATE}-" not in name else ():
            job = ledger.records[row.id]
            # A line that its batch ended before it became a job had no bodies.
            had_bodies = job.batch is None or job.queued_at is not None
            if row.request is None and had_bodies and job.id not in ledger.erased_on_request:
                fates.violated(f"{row.id} was erased before it was archived")


def _rows(data: bytes) -> list[ArchivedRow]:
    return msgspec.json.Decoder(ArchivedRow).decode_lines(gzip.decompress(data))
