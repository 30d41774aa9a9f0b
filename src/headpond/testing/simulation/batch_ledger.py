"""What was promised to teams with batches, and whether it was kept.

A batch has one end, whoever ran it; both of its files together hold one line for each line of the
input, and each tells what became of that line's job.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import msgspec

from headpond.domain.batch import Batch, BatchStatus
from headpond.domain.file import File, FileId
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.testing.simulation.engine import is_answer
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.sheets import Request, Result, order_of
from headpond.testing.simulation.stores import Store

PIECES = 3
EXPIRES_S = 30.0


class Sheet(msgspec.Struct, frozen=True):
    """An input file: its requests, with a blank line after some."""

    requests: tuple[Request, ...]
    blank_after: int

    @property
    def fit(self) -> bool:
        """Whether it can be run."""
        names = {request.custom_id for request in self.requests}
        return len(names) == len(self.requests) and all(one.fit for one in self.requests)

    @property
    def names(self) -> list[str]:
        """The custom ids, sorted."""
        return sorted(request.custom_id for request in self.requests)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes, in pieces that end anywhere."""
        lines = [msgspec.json.encode(request) for request in self.requests]
        lines.insert(self.blank_after, b"")
        data = b"\n".join(lines)
        step = len(data) // PIECES + 1
        for begin in range(0, len(data), step):
            yield data[begin : begin + step]


class BatchLedger:
    """Of one world. Deletes and cancels are noted before they are asked for.

    What is in `reads_on` was made before its file was deleted, so the file was not.
    """

    def __init__(self, fates: Fates) -> None:
        self.cancels: set[BatchId] = set()
        self.deletes: set[FileId] = set()
        self.reads_on: set[BatchId] = set()
        self._fates = fates
        self._sheets: dict[FileId, tuple[Sheet, File]] = {}
        self._newest: dict[BatchId, Batch] = {}

    def handed_in(self, file: File, sheet: Sheet) -> None:
        """A team was told that this file is kept."""
        self._sheets[file.id] = sheet, file

    def saw(self, batch: Batch) -> None:
        """Somebody was told that the record stands like this."""
        before = self._newest.get(batch.id, batch)
        if batch.version < before.version:
            return  # what was told first arrives last
        if before.status.ended and batch != before:
            self._fates.violated(f"{batch.id} ended twice: {before.status}, {batch.status}")
        self._newest[batch.id] = batch

    def looked(self, batches: Sequence[Batch]) -> None:
        """The store as it stands now."""
        standing = {batch.id: batch for batch in batches}
        for before in list(self._newest.values()):
            batch = standing.get(before.id)
            if batch is None or batch.version < before.version:
                self._fates.violated(f"{before.id} is lost, or went back")
        for batch in batches:
            self.saw(batch)

    async def close(self, store: Store, jobs: Iterable[Job]) -> None:
        """Compare with the jobs and with the files, at the end of everything."""
        by_batch: dict[BatchId, list[Job]] = {}
        for job in jobs:
            if job.batch is not None:
                by_batch.setdefault(job.batch, []).append(job)
        for batch in self._newest.values():
            sheet, file = self._sheets[batch.input_file]
            lines = by_batch.pop(batch.id, [])
            self._check_jobs(batch, sheet, lines)
            match batch.status:
                case BatchStatus.FAILED:
                    self._check_failed(batch, sheet, file)
                case BatchStatus.CANCELLED if batch.in_progress_at is None:
                    pass
                case BatchStatus.COMPLETED | BatchStatus.EXPIRED | BatchStatus.CANCELLED:
                    await self._check_results(batch, sheet, lines, store)
                case _:
                    self._fates.violated(f"{batch.id} has not ended: {batch.status}")
            if batch.status is BatchStatus.CANCELLED and batch.id not in self.cancels:
                self._fates.violated(f"{batch.id} was cancelled by nobody")
        if by_batch:
            self._fates.violated(f"there are jobs of no batch: {list(by_batch)}")

    def _check_jobs(self, batch: Batch, sheet: Sheet, lines: Sequence[Job]) -> None:
        """Each line became one job at most, and each job was a line."""
        orders = Counter(job.metadata["order"] for job in lines)
        asked = {order_of(batch.endpoint, name) for name in sheet.names}
        if doubled := [order for order, count in orders.items() if count > 1]:
            self._fates.violated(f"{batch.id} made two jobs of {doubled}")
        if foreign := orders.keys() - asked:
            self._fates.violated(f"{batch.id} made jobs of {foreign}")
        if lines and not sheet.fit:
            self._fates.violated(f"{batch.id} ran a file that is not fit")

    def _check_failed(self, batch: Batch, sheet: Sheet, file: File) -> None:
        # Between the look at the file and the record of the batch, its time may have been over.
        left_s = (file.expires_at or 0.0) - batch.created_at
        deleted = file.id in self.deletes and batch.id not in self.reads_on
        if sheet.fit and not deleted and left_s > EXPIRES_S:
            self._fates.violated(f"{batch.id} failed for no reason: {batch.errors}")

    async def _check_results(
        self, batch: Batch, sheet: Sheet, lines: Sequence[Job], store: Store
    ) -> None:
        if len(lines) != len(sheet.requests):
            self._fates.violated(f"{batch.id} made {len(lines)} jobs")
        if batch.output_ttl_s is not None:
            return  # swept by now
        answered = await self._results(batch, batch.output_file, store)
        failed = await self._results(batch, batch.error_file, store)
        if sorted(one.custom_id for one in answered + failed) != sheet.names:
            self._fates.violated(f"{batch.id} has {len(answered)} + {len(failed)} lines")
        counts = batch.counts
        if (counts.total, counts.completed) != (len(sheet.requests), len(answered)):
            self._fates.violated(f"{batch.id} counts {counts}, has {len(answered)} answers")
        if counts.failed + counts.stopped != len(failed):
            self._fates.violated(f"{batch.id} counts {counts}, has {len(failed)} errors")
        expired = any(one.state is JobState.EXPIRED for one in failed)
        if batch.status is not BatchStatus.CANCELLED and expired != (
            batch.status is BatchStatus.EXPIRED
        ):
            self._fates.violated(f"{batch.id} is {batch.status}, expired lines: {expired}")
        records = {job.id: job for job in lines}
        for result in answered + failed:
            self._check_result(batch, result, records)

    def _check_result(self, batch: Batch, result: Result, records: Mapping[JobId, Job]) -> None:
        order = order_of(batch.endpoint, result.custom_id)
        job = None if result.job is None else records.get(result.job)
        if job is None or job.metadata["order"] != order:
            self._fates.violated(f"{batch.id} tells {result.custom_id} of another job, or of none")
        elif result.state is not job.state and not _was_dead(job):
            self._fates.violated(f"{batch.id} tells {job.id} as {result.state}, it is {job.state}")
        elif result.state is JobState.SUCCEEDED and not is_answer(result.text or "", order):
            self._fates.violated(f"{batch.id} tells {job.id} as {result.text!r}")

    async def _results(self, batch: Batch, file_id: FileId | None, store: Store) -> list[Result]:
        if file_id is None:
            return []
        file = await store.files.get(file_id)
        if file is None:
            self._fates.violated(f"{batch.id} names {file_id}, which is not there")
            return []
        data = b"".join([piece async for piece in store.blobs.read(file.blob)])
        if len(data) != file.size:
            self._fates.violated(f"{file_id} has {len(data)} bytes of {file.size}")
        return [msgspec.json.decode(line, type=Result) for line in data.splitlines()]


def _was_dead(job: Job) -> bool:
    """Whether somebody took it from the dead letters, perhaps."""
    return bool(job.deaths) or job.state is JobState.FAILED
