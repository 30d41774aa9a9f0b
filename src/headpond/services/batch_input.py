"""The input of a batch: read line by line, judged, and made the drafts of jobs."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from msgspec.structs import replace

from headpond.domain.batch import Batch, Cursor, LineError, line_name
from headpond.domain.file import BlobName
from headpond.domain.identity import Identity
from headpond.domain.job import Job, JobError, JobId, JobState, Ticket
from headpond.domain.lane import Priority
from headpond.domain.lines import InputLine, LineCutter
from headpond.errors import InvalidRequest, NotFound, RequestError
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.files import FileStore
from headpond.services.line_format import LineFormat
from headpond.services.submission import Submission

GROUP_LINES = 64
GROUP_BYTES = 1_048_576
"""Lines are handled in groups: so many share a transaction, and so much is held in memory."""

BREATH = 8
"""Lines that are judged before whoever else waits for the event loop has a turn."""

NOWHERE = "-"
"""The pool and the model of a job that was never to run."""


class Draft(msgspec.Struct, frozen=True):
    """A line as the job that it becomes, with the engine's request."""

    custom_id: str
    job: Job
    request: bytes


class BatchInput:
    """Reads the file that a batch names, as often as it takes."""

    def __init__(
        self,
        files: FileStore,
        blobs: Blobs,
        submission: Submission,
        *,
        form: LineFormat,
        clock: Clock,
        max_line_bytes: int,
        group_lines: int | None = None,
    ) -> None:
        self._files = files
        self._blobs = blobs
        self._submission = submission
        self._form = form
        self._clock = clock
        self._max_line_bytes = max_line_bytes
        self._group_lines = group_lines or GROUP_LINES

    async def groups(
        self, batch: Batch, after: Cursor | None = None
    ) -> AsyncGenerator[list[InputLine]]:
        """The lines after the cursor, a few at a time. Raises NotFound if the file is gone."""
        file = await self._files.get(batch.input_file)
        if file is None:
            message = f"The input file {batch.input_file!r} is gone."
            raise NotFound(message, code="file_not_found", param="input_file_id")
        group: list[InputLine] = []
        size = 0
        # A file never changes. What was judged fit is read whatever the settings allow by now, so
        # that each line can be told of under its custom id.
        max_bytes = self._max_line_bytes if batch.in_progress_at is None else max(file.size, 1)
        async with aclosing(self._lines(file.blob, after or Cursor(), max_bytes)) as lines:
            async for line in lines:
                group.append(line)
                size += len(line.text or b"")
                if len(group) == self._group_lines or size >= GROUP_BYTES:
                    yield group
                    group, size = [], 0
        if group:
            yield group

    async def judged(
        self, batch: Batch, group: Sequence[InputLine]
    ) -> list[tuple[InputLine, Draft | LineError]]:
        """The jobs of lines that nobody looked at yet, or why they are no lines of a batch.

        The job of a request that its endpoint refuses has failed.
        """
        found: list[tuple[InputLine, Draft | LineError]] = []
        for index, line in enumerate(group):
            if index % BREATH == 0:
                await asyncio.sleep(0)
            try:
                found.append((line, self._draft(batch, line)))
            except RequestError as error:
                fault = LineError(error.code, error.message, error.param, line.number)
                found.append((line, fault))
        return found

    async def drafts(self, batch: Batch, group: Sequence[InputLine]) -> list[Draft]:
        """The jobs of lines that were judged fit.

        One that is not any more, because other settings hold by now, is a job that has failed.
        """
        return [
            self._stillborn(batch, line.number, self._custom_id(line), draft)
            if isinstance(draft, LineError)
            else draft
            for line, draft in await self.judged(batch, group)
        ]

    def names(self, batch: Batch, group: Sequence[InputLine]) -> dict[JobId, str]:
        """The custom ids of lines that were judged fit, by their jobs, in the lines' order."""
        custom_ids = [(line.number, self._custom_id(line)) for line in group]
        return {
            JobId("job_" + line_name(batch, number, custom_id)): custom_id
            for number, custom_id in custom_ids
        }

    def _custom_id(self, line: InputLine) -> str:
        return self._form.custom_id(line.text or b"")

    async def _lines(
        self, blob: BlobName, begin: Cursor, max_bytes: int
    ) -> AsyncGenerator[InputLine]:
        cutter = LineCutter(lines=begin.lines, offset=begin.offset, max_bytes=max_bytes)
        async with aclosing(self._blobs.read(blob, begin.offset)) as pieces:
            async for piece in pieces:
                for line in cutter.feed(piece):
                    yield line
        for line in cutter.last():
            yield line

    def _draft(self, batch: Batch, line: InputLine) -> Draft:
        if line.text is None or len(line.text) > self._max_line_bytes:
            message = f"The line is longer than {self._max_line_bytes} bytes."
            raise InvalidRequest(message, code="line_too_long")
        asked = self._form.request(batch.endpoint, line.text)
        if isinstance(asked.order, InvalidRequest):
            return self._stillborn(batch, line.number, asked.custom_id, asked.order)
        order = replace(
            asked.order,
            priority=Priority.BATCH,
            deadline=batch.expires_at,
            background=None,
            batch=batch.id,
        )
        name = line_name(batch, line.number, asked.custom_id)
        job = self._submission.draft(name, order, _owner(batch))
        return Draft(asked.custom_id, job, order.request)

    def _stillborn(
        self, batch: Batch, number: int, custom_id: str, error: LineError | InvalidRequest
    ) -> Draft:
        name = line_name(batch, number, custom_id)
        now = self._clock.now()
        job = Job(
            id=JobId("job_" + name),
            ticket=Ticket(name),
            team=batch.team,
            feature=batch.feature,
            pool=NOWHERE,
            priority=Priority.BATCH,
            model=NOWHERE,
            batch=batch.id,
            accepted_at=now,
            finished_at=now,
            state=JobState.FAILED,
            error=JobError(error.code, error.message),
        )
        return Draft(custom_id, job, b"")


def _owner(batch: Batch) -> Identity:
    return Identity(batch.team, batch.feature)
