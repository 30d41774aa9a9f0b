"""The runner: sees batches through, from the input file to the output file.

    validating   every line is judged; if one is none of a batch, the batch has failed; one whose
                 request its endpoint would refuse is a line that failed
    in_progress  lines become jobs, group by group, until all have; then their ends are awaited
    cancelling   lines that are no jobs yet become ended ones, then the jobs that there are end
    finalizing   a line about each job is written to the output or the error file

A batch whose input is deleted under it has failed, wherever it stands; its open jobs are cancelled.

Every step may be cut off anywhere and is then done again, by this process or another: a line's job
is named by its batch, its number and its custom id, so it is made once; a file is written whole
under a name of its own before a record says that name. The record of the batch is the fence: it
says which process runs it and until when, and each change of it needs the version that was read.

A process that slept through its lease finds that out at its next change. What it does before that
was either done again by its successor, or cannot be done any more: when a batch ends early, each
line that was no job becomes one that has ended, so nobody can hand it in.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import aclosing

import msgspec

from headpond.domain.batch import (
    Batch,
    BatchStatus,
    Cursor,
    LineError,
    Results,
    RunnerName,
    counted,
)
from headpond.domain.facts import BatchAdvanced, BatchEnded
from headpond.domain.job import BatchId, Job
from headpond.errors import NotFound
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.clock import Clock
from headpond.ports.events import Listener
from headpond.ports.jobs import JobStore, NewJob
from headpond.services.batch_hold import BatchHold, LeaseLost
from headpond.services.batch_input import BatchInput, Draft
from headpond.services.batch_judge import judge
from headpond.services.batch_output import BatchOutput
from headpond.services.complaints import failure
from headpond.services.side_by_side import side_by_side
from headpond.services.submission import Submission
from headpond.settings import BatchSettings

DUE = 1_000
SLICE_GROUPS = 16
"""Groups of lines that are handed in between two looks at the record."""

END_AT_ONCE = 256

FIRST_REST_S = 1.0
MAX_REST_S = 60.0
"""How long a batch is left alone after an error, at first and at most."""


class _Trouble(msgspec.Struct, frozen=True):
    """A batch that ended in an error rests for `rest_s`, until then on the loop's clock."""

    rest_s: float
    until_s: float


class BatchRunner:
    """One for each process that runs batches; `name` is its own and never used again."""

    def __init__(
        self,
        batches: BatchStore,
        lines: BatchLines,
        jobs: JobStore,
        *,
        source: BatchInput,
        output: BatchOutput,
        submission: Submission,
        name: RunnerName,
        clock: Clock,
        listener: Listener,
        settings: BatchSettings,
    ) -> None:
        self._batches = batches
        self._lines = lines
        self._jobs = jobs
        self._source = source
        self._output = output
        self._submission = submission
        self._name = name
        self._clock = clock
        self._listener = listener
        self._settings = settings
        self._running: dict[BatchId, tuple[BatchHold, asyncio.Task[None]]] = {}
        self._troubles: dict[BatchId, _Trouble] = {}

    async def tick(self) -> None:
        """Begin to run the batches that nobody runs; each goes on in a task of its own."""
        due = await self._batches.due(self._name, self._clock.now(), DUE)
        self._troubles = {one.id: self._troubles[one.id] for one in due if one.id in self._troubles}
        now_s = asyncio.get_running_loop().time()
        for batch in due:
            trouble = self._troubles.get(batch.id)
            if batch.id not in self._running and (trouble is None or trouble.until_s <= now_s):
                hold = self._hold(batch)
                task = asyncio.create_task(self._keep(hold), name=batch.id)
                self._running[batch.id] = hold, task

    async def stop(self) -> None:
        """Leave off, and leave the batches to whoever comes. Works twice."""
        running = list(self._running.values())
        for _, task in running:
            task.cancel()
        for hold, task in running:
            await asyncio.wait([task])
            # If the store is away, the lease lapses: the same, only later.
            with contextlib.suppress(Exception):
                await hold.release()

    async def run(self, batch: Batch) -> None:
        """Run the batch to its end. Raises LeaseLost when another process has it."""
        await self._run(self._hold(batch))

    def _hold(self, batch: Batch) -> BatchHold:
        return BatchHold(
            self._batches, batch, self._name, self._clock, lease_s=self._settings.lease_s
        )

    async def _keep(self, hold: BatchHold) -> None:
        before = hold.batch
        try:
            await self._run(hold)
        except LeaseLost:
            pass
        except Exception as error:  # noqa: BLE001 - a later tick begins again
            self._listener.hear(failure("batch", error))
            self._rest(hold, before)
        finally:
            del self._running[hold.batch.id]

    def _rest(self, hold: BatchHold, before: Batch) -> None:
        """Leave the batch alone for a while, twice as long each time that nothing came of it."""
        after = hold.batch
        moved = (after.status, after.cursor, after.counts) != (
            before.status,
            before.cursor,
            before.counts,
        )
        known = None if moved else self._troubles.get(after.id)
        rest_s = FIRST_REST_S if known is None else min(2 * known.rest_s, MAX_REST_S)
        until_s = asyncio.get_running_loop().time() + rest_s
        self._troubles[after.id] = _Trouble(rest_s, until_s)

    async def _run(self, hold: BatchHold) -> None:
        await hold.take()
        while not hold.batch.status.ended:
            try:
                await self._step(hold)
            except NotFound as error:
                await self._give_up(hold, error)

    async def _step(self, hold: BatchHold) -> None:
        match hold.batch.status:
            case BatchStatus.VALIDATING:
                await self._validate(hold)
            case BatchStatus.IN_PROGRESS:
                await self._advance(hold)
            case BatchStatus.CANCELLING if hold.batch.in_progress_at is None:
                await self._enter(hold, _written(self._clock.now(), Results()))
            case BatchStatus.CANCELLING:
                await self._end_jobs(hold, Job.cancelled)
                await self._write(hold)
            case _:
                await self._write(hold)

    async def _validate(self, hold: BatchHold) -> None:
        found = await judge(hold, self._source, max_lines=self._settings.max_lines)
        if found is None:
            return
        now = self._clock.now()
        if found.errors:
            await self._enter(hold, lambda batch: batch.refused(now, found.errors))
        else:
            await self._enter(hold, lambda batch: batch.begun(now, found.requests, found.model))

    async def _advance(self, hold: BatchHold) -> None:
        """Hand in more lines; when all are jobs, wait a while for their ends."""
        before = hold.batch
        tally = await self._lines.tally(before.id)
        counts = counted(before.counts.total, tally)
        if counts.ended:
            await self._enter(hold, lambda batch: batch.lines_ended(self._clock.now()))
            return
        if self._clock.now() >= before.expires_at:
            await self._end_jobs(hold, Job.expired)
            return
        cursor = before.cursor
        if sum(tally.values()) < counts.total:
            cursor = await self._submit_slice(hold)
        if (cursor, counts) != (before.cursor, before.counts):
            await hold.change(lambda batch: batch.progressed(cursor, counts))
        else:
            await hold.renew()
        if cursor == before.cursor:
            left_s = before.expires_at - self._clock.now()
            await asyncio.sleep(max(0.0, min(self._settings.every_s, left_s)))

    async def _submit_slice(self, hold: BatchHold) -> Cursor:
        """Make jobs of some more lines; returns how far that went."""
        batch = hold.batch
        cursor = batch.cursor
        left = SLICE_GROUPS
        async with aclosing(self._source.groups(batch, cursor)) as groups:
            async for group in groups:
                drafts = await self._source.drafts(batch, group)
                await side_by_side(map(self._submit, drafts))
                cursor = Cursor(group[-1].number, group[-1].end)
                left -= 1
                if not left:
                    break
        return cursor

    async def _submit(self, draft: Draft) -> None:
        if draft.job.state.terminal:
            await self._jobs.add(NewJob(draft.job, draft.request))
        else:
            await self._submission.submit_line(draft.job, draft.request)

    async def _end_jobs(self, hold: BatchHold, verb: Callable[[Job, float], Job]) -> None:
        """End every job of the batch that has not ended, lines that are no job yet included.

        Those first: once every line is a job, nobody can hand one in any more.
        """
        now = self._clock.now()
        async with aclosing(self._source.groups(hold.batch, hold.batch.cursor)) as groups:
            async for group in groups:
                drafts = await self._source.drafts(hold.batch, group)
                ended = [d.job if d.job.state.terminal else verb(d.job, now) for d in drafts]
                await side_by_side(self._jobs.add(NewJob(job, b"")) for job in ended)
                await hold.renew()
        await self._end_present(hold, verb)

    async def _end_present(self, hold: BatchHold, verb: Callable[[Job, float], Job]) -> None:
        now = self._clock.now()
        while jobs := await self._lines.unended(hold.batch.id, END_AT_ONCE):
            await side_by_side(self._jobs.swap(verb(job, now)) for job in jobs)
            await hold.renew()

    async def _write(self, hold: BatchHold) -> None:
        results = await self._output.write(hold)
        await self._enter(hold, _written(self._clock.now(), results))

    async def _give_up(self, hold: BatchHold, error: NotFound) -> None:
        """The input is gone, and with it what its lines were: trying again would be for ever."""
        await self._end_present(hold, Job.cancelled)
        fault = LineError(error.code, error.message, error.param)
        await self._enter(hold, lambda batch: batch.refused(self._clock.now(), [fault]))

    async def _enter(self, hold: BatchHold, verb: Callable[[Batch], Batch]) -> None:
        """Enter the next status, and tell it."""
        if await hold.change(verb):
            batch = hold.batch
            self._listener.hear(BatchEnded(batch) if batch.status.ended else BatchAdvanced(batch))


def _written(now: float, results: Results) -> Callable[[Batch], Batch]:
    return lambda batch: batch.written(now, results)
