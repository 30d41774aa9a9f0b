"""The batch record and its state machine.

Drawn in docs/state-machine.md. As with a job, each arrow is a verb that returns the record as it
should be next, with `version` one higher; a store replaces a record only while its version is still
the one that was read.

    validating ──refused──▶ failed ◀──refused── every other that is open, if its input is lost
        └────begun────▶ in_progress ──lines_ended──▶ finalizing ──written──▶ completed | expired
    validating, in_progress ──cancelling──▶ cancelling ──written──▶ cancelled

One process at a time runs a batch: it `took` the record under its name for a while, and renews that
with each change that it makes.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NewType

import msgspec
from msgspec.structs import replace

from headpond.domain.file import FileId
from headpond.domain.identity import time_ordered_id
from headpond.domain.job import BatchId, JobState, Usage

RunnerName = NewType("RunnerName", str)

MAX_LINES = 2**17 - 1
"""A line's number has 17 bits of its job's id."""

MAX_WINDOW_S = 30 * 86_400
_WINDOW = re.compile(r"(?P<count>[1-9][0-9]{0,6})(?P<unit>[smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class BatchStatus(StrEnum):
    """Where a batch stands, in the words of OpenAI's interface."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True when the batch will not change any more."""
        return self in ENDED


ENDED = frozenset(
    {BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED}
)


class LineError(msgspec.Struct, frozen=True):
    """Why the input cannot be run; `line` counts from 1, None where it is the whole file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """Requests of a batch. `stopped` are those that its end overtook: cancelled or expired."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    stopped: int = 0

    @property
    def ended(self) -> bool:
        """True when every request has ended."""
        return self.completed + self.failed + self.stopped >= self.total


class Cursor(msgspec.Struct, frozen=True):
    """How far the input was handed in: `lines` of it, which are its first `offset` bytes."""

    lines: int = 0
    offset: int = 0


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a batch hold: no file where there is no line for it.

    `expired` when the window closed before one of the requests was done.
    """

    counts: Counts = Counts()
    usage: Usage = Usage()
    expired: bool = False
    output: FileId | None = None
    errors: FileId | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of one batch. Times are Unix seconds.

    `requests` is how many of the input's lines have a request; `cursor` how far they are jobs
    already. `model` is the one that every line asks for, None if they differ. `output_ttl_s` is how
    long the files that it writes are kept, None for ever.
    """

    id: BatchId
    team: str
    feature: str | None = None
    endpoint: str
    input_file: FileId
    completion_window: str
    metadata: dict[str, str] = {}
    output_ttl_s: int | None = None
    created_at: float
    expires_at: float

    version: int = 1
    status: BatchStatus = BatchStatus.VALIDATING
    runner: RunnerName | None = None
    leased_until: float = 0.0
    cursor: Cursor = Cursor()
    counts: Counts = Counts()
    model: str | None = None
    errors: tuple[LineError, ...] = ()
    usage: Usage | None = None
    output_file: FileId | None = None
    error_file: FileId | None = None
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    cancelling_at: float | None = None
    ended_at: float | None = None

    def free(self, now: float) -> bool:
        """True when nobody runs it and somebody should."""
        return not self.status.ended and (self.runner is None or now >= self.leased_until)

    def took(self, runner: RunnerName, until: float) -> "Batch":
        """A process runs it, or goes on to run it."""
        if self.status.ended:
            raise self._misuse()
        return self._next(runner=runner, leased_until=until)

    def released(self) -> "Batch":
        """Its process stops; any other may go on at once."""
        return self._next(runner=None, leased_until=0.0)

    def refused(self, now: float, errors: Sequence[LineError]) -> "Batch":
        """The input cannot be run, or is gone before its end."""
        if self.status.ended:
            raise self._misuse()
        return self._ended(BatchStatus.FAILED, now, errors=tuple(errors))

    def begun(self, now: float, requests: int, model: str | None) -> "Batch":
        """The input is fit to run."""
        self._expect(BatchStatus.VALIDATING)
        return self._next(
            status=BatchStatus.IN_PROGRESS,
            in_progress_at=now,
            counts=Counts(total=requests),
            model=model,
        )

    def progressed(self, cursor: Cursor, counts: Counts) -> "Batch":
        """More of its lines were handed in, or have ended."""
        self._expect(BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING)
        return self._next(cursor=cursor, counts=counts)

    def lines_ended(self, now: float) -> "Batch":
        """Every line has ended; the results are to be written."""
        self._expect(BatchStatus.IN_PROGRESS)
        return self._next(status=BatchStatus.FINALIZING, finalizing_at=now)

    def cancelling(self, now: float) -> "Batch":
        """The owner wants no more of it; what is done is kept."""
        self._expect(BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS)
        return self._next(status=BatchStatus.CANCELLING, cancelling_at=now)

    def written(self, now: float, results: Results) -> "Batch":
        """Its files hold a line for each of its requests."""
        self._expect(BatchStatus.FINALIZING, BatchStatus.CANCELLING)
        if self.status is BatchStatus.CANCELLING:
            status = BatchStatus.CANCELLED
        else:
            status = BatchStatus.EXPIRED if results.expired else BatchStatus.COMPLETED
        return self._ended(
            status,
            now,
            counts=results.counts,
            usage=results.usage,
            output_file=results.output,
            error_file=results.errors,
        )

    def _expect(self, *allowed: BatchStatus) -> None:
        if self.status not in allowed:
            raise self._misuse()

    def _misuse(self) -> ValueError:
        return ValueError(f"a batch that is {self.status} cannot do this")

    def _ended(self, status: BatchStatus, now: float, **changes: object) -> "Batch":
        return self._next(status=status, ended_at=now, runner=None, leased_until=0.0, **changes)

    def _next(self, **changes: object) -> "Batch":
        return replace(self, version=self.version + 1, **changes)


def counted(total: int, tally: Mapping[JobState, int]) -> Counts:
    """The counts of a batch of `total` requests whose jobs are in these states."""
    return Counts(
        total=total,
        completed=tally.get(JobState.SUCCEEDED, 0),
        failed=tally.get(JobState.FAILED, 0) + tally.get(JobState.DEAD, 0),
        stopped=tally.get(JobState.CANCELLED, 0) + tally.get(JobState.EXPIRED, 0),
    )


def window_s(text: str) -> int | None:
    """Seconds of a completion window such as 24h, 90m or 7d; None if it is none, or too long."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        return None
    seconds = int(found["count"]) * _UNIT_S[found["unit"]]
    return seconds if seconds <= MAX_WINDOW_S else None


def line_name(batch: Batch, line: int, custom_id: str) -> str:
    """The 32 hex digits by which the job of a line is named.

    The same whoever makes it and however often, so no line becomes two jobs; it sorts by the time
    of the batch, then by the line's number, like names made by chance.
    """
    digest = sha256(f"{batch.id}\n{custom_id}".encode()).digest()
    return time_ordered_id(batch.created_at, line << 57 | int.from_bytes(digest[:8]) >> 7)


def result_file(batch: Batch, kind: str) -> FileId:
    """The id of the file that a batch writes of this kind: the same however often it begins."""
    digest = sha256(f"{batch.id}\n{kind}".encode()).digest()
    return FileId("file-" + time_ordered_id(batch.created_at, int.from_bytes(digest[:10])))
