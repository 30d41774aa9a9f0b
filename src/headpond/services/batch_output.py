"""The output of a batch: a line about each of its requests, in the order of the input."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing

from headpond.domain.batch import Batch, Results, counted, result_file
from headpond.domain.file import BlobName, File, FileId, Purpose
from headpond.domain.job import Job, JobId, JobState, Usage
from headpond.ports.batches import BatchLines
from headpond.ports.blobs import Blobs, BlobWriter
from headpond.ports.clock import Clock
from headpond.ports.files import FileStore
from headpond.services.batch_hold import BatchHold
from headpond.services.batch_input import BatchInput
from headpond.services.files import removed_meanwhile
from headpond.services.line_format import LineFormat


class BatchOutput:
    """Writes both files of a batch in one pass; `new_name` makes names that were never used."""

    def __init__(
        self,
        source: BatchInput,
        lines: BatchLines,
        files: FileStore,
        blobs: Blobs,
        *,
        form: LineFormat,
        clock: Clock,
        new_name: Callable[[], BlobName],
    ) -> None:
        self._source = source
        self._lines = lines
        self._files = files
        self._blobs = blobs
        self._form = form
        self._clock = clock
        self._new_name = new_name

    async def write(self, hold: BatchHold) -> Results:
        """Write what the jobs of the batch came to; all of them have ended."""
        output, errors = self._new_name(), self._new_name()
        async with (
            self._blobs.create(output) as output_blob,
            self._blobs.create(errors) as error_blob,
        ):
            sheets = _Sheets(_Sheet(output_blob), _Sheet(error_blob))
            async with aclosing(self._source.groups(hold.batch)) as groups:
                async for group in groups:
                    await self._fill(hold.batch, self._source.names(hold.batch, group), sheets)
                    await hold.renew()
        # What was written in a long sleep is not published in another's place.
        await hold.renew()
        batch = hold.batch
        return Results(
            counts=counted(batch.counts.total, sheets.ends),
            usage=sheets.usage,
            expired=sheets.ends[JobState.EXPIRED] > 0,
            output=await self._publish(batch, "output", output, sheets.output.size),
            errors=await self._publish(batch, "error", errors, sheets.errors.size),
        )

    async def _fill(self, batch: Batch, names: Mapping[JobId, str], sheets: "_Sheets") -> None:
        found = {line.job.id: line for line in await self._lines.present(list(names))}
        for job_id, custom_id in names.items():
            line = found.get(job_id)
            if line is None:
                sheets.ends[JobState.FAILED] += 1
                sheets.errors.add(self._form.gone(custom_id))
            else:
                text = self._form.result(batch.endpoint, custom_id, line)
                sheets.add(line.job, text)
        await sheets.output.flush()
        await sheets.errors.flush()

    async def _publish(self, batch: Batch, kind: str, blob: BlobName, size: int) -> FileId | None:
        if not size:
            await self._blobs.delete(blob)
            return None
        now = self._clock.now()
        file = File(
            id=result_file(batch, kind),
            blob=blob,
            team=batch.team,
            purpose=Purpose.BATCH_OUTPUT,
            filename=f"{batch.id}_{kind}.jsonl",
            size=size,
            created_at=now,
            expires_at=None if batch.output_ttl_s is None else now + batch.output_ttl_s,
        )
        if not await self._files.put(file):
            raise removed_meanwhile(file)
        return file.id


class _Sheet:
    """A file that is being written."""

    def __init__(self, blob: BlobWriter) -> None:
        self._blob = blob
        self._lines: list[bytes] = []
        self.size = 0

    def add(self, text: bytes) -> None:
        self._lines.append(text + b"\n")

    async def flush(self) -> None:
        data = b"".join(self._lines)
        self._lines.clear()
        if data:
            await self._blob.write(data)
            self.size += len(data)


class _Sheets:
    """Both files, and what was counted on the way."""

    def __init__(self, output: _Sheet, errors: _Sheet) -> None:
        self.output = output
        self.errors = errors
        self.ends: Counter[JobState] = Counter()
        self.usage = Usage()

    def add(self, job: Job, text: bytes) -> None:
        self.ends[job.state] += 1
        (self.output if job.state is JobState.SUCCEEDED else self.errors).add(text)
        if job.usage is not None:
            self.usage = Usage(
                self.usage.prompt_tokens + job.usage.prompt_tokens,
                self.usage.completion_tokens + job.usage.completion_tokens,
            )
