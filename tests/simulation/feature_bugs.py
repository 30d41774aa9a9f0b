"""Bugs of batches, webhooks, streams, redrives, retention and archive, for worlds to find."""

import contextlib
import math
from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec.structs import replace

from headpond.adapters.memory.batches import MemoryBatchStore
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.adapters.memory.streams import MemoryTokenStreams
from headpond.adapters.sqlite import batches, retention, streams
from headpond.domain.archive import Plan
from headpond.domain.batch import Batch, Counts, Results
from headpond.domain.dispatch import Dispatch, Reaction, Replied
from headpond.domain.job import Job, JobState
from headpond.domain.retention import Rule
from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import Event, EventId
from headpond.errors import TryLater, Unavailable
from headpond.ports.streams import Entry
from headpond.services import batch_input, webhook_window
from headpond.services.archivist import Archivist
from headpond.services.batch_input import Draft
from headpond.services.batch_output import BatchOutput
from headpond.services.batch_runner import BatchRunner
from headpond.services.body_eraser import BodyEraser
from headpond.services.dead_letters import Triage
from headpond.services.lost_messages import LostMessages
from headpond.services.teller import Teller
from headpond.services.webhook_window import Window
from headpond.services.worker import relay
from headpond.services.worker.relay import Relay
from tests.planted_bugs import Plant, both, changing, replacing, statement

_numbers = count()


def _named_anew(batch: Batch, line: int, custom_id: str) -> str:
    del line, custom_id
    return f"{batch.id[6:14]}{next(_numbers):024x}"


async def _swap_an_ended_batch(self: MemoryBatchStore, after: Batch) -> bool:
    self._batches[after.id] = after
    return True


def _one_line_early(self: Counts) -> bool:
    return self.completed + self.failed + self.stopped >= self.total - 1


async def _publish_nothing(*given: Any) -> Any:
    self, batch, kind, blob, size = given
    file_id = None if not size else batch.id + kind
    await self._blobs.delete(blob)
    return file_id


async def _submit_if_it_can_be(self: Any, draft: Draft) -> None:
    with contextlib.suppress(TryLater):
        await self._submission.submit_line(draft.job, draft.request)


async def _end_what_is_there(self: Any, hold: Any, verb: Any) -> None:
    await self._end_present(hold, verb)


def _without_errors(written: Callable[..., Batch]) -> Callable[..., Batch]:
    def written_without(self: Batch, now: float, results: Results) -> Batch:
        return written(self, now, replace(results, errors=None))

    return written_without


def _free_if_let_go(self: Batch, now: float) -> bool:
    del now
    return not self.status.ended and self.runner is None


async def _read_by_nobody(*_: Any) -> bool:
    return False


def _untold(state: JobState) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def change(ended: Callable[..., None]) -> Callable[..., None]:
        def ended_untold(self: MemoryOutbox, job: Job) -> None:
            if job.state is not state:
                ended(self, job)

        return ended_untold

    return change


def _told_before_it_is_so(swap: Callable[..., Any]) -> Callable[..., Any]:
    async def tell_and_swap(self: Any, after: Job, response: bytes | None = None) -> bool:
        if after.state.terminal:
            self._outbox.job_ended(after)
        return await swap(self, after, response)

    return tell_and_swap


def _nothing_of_batches(*_: Any) -> None:
    """Leaves no notice."""


def _leased_for_ever(leased: Callable[..., Dispatch]) -> Callable[..., Dispatch]:
    def lease(self: Dispatch, now: float, lease_s: float) -> Dispatch:
        del lease_s
        return leased(self, now, math.inf)

    return lease


def _an_id_for_each_attempt(tell: Callable[..., Any]) -> Callable[..., Any]:
    async def tell_anew(self: Teller, endpoint: Endpoint, event: Event, url: str) -> Reaction:
        anew = replace(event, id=EventId(f"{event.id}_{next(_numbers)}"))
        return await tell(self, endpoint, anew, url)

    return tell_anew


def _all_is_well(react: Callable[..., Dispatch]) -> Callable[..., Dispatch]:
    def react_well(dispatch: Dispatch, _: Reaction, **facts: Any) -> Dispatch:
        return react(dispatch, Replied(200), **facts)

    return react_well


def _given_up_at_once(react: Callable[..., Dispatch]) -> Callable[..., Dispatch]:
    def react_once(dispatch: Dispatch, reaction: Reaction, **facts: Any) -> Dispatch:
        return react(dispatch, reaction, **facts | {"schedule_s": ()})

    return react_once


def _as_if_enabled(endpoint_for: Callable[..., Any]) -> Callable[..., Any]:
    async def enabled(self: Any, team: str) -> Endpoint | None:
        endpoint = await endpoint_for(self, team)
        return endpoint and replace(endpoint, disabled_at=None)

    return enabled


def _wants_always(self: Endpoint, kind: Any) -> bool:
    return self.url is not None and kind in self.event_types


def _signed_by_nobody(*_: Any) -> list[str]:
    return ["whsec_bm9ib2R5"]


async def _begin_without_restart(self: Any, job_id: Any, run: int) -> int | None:
    if not await self._stands(job_id, run):
        return None
    return len(self._entries.setdefault(job_id, []))


async def _append_whoever_runs(self: Any, job_id: Any, entry: Entry) -> bool:
    entries = self._entries.setdefault(job_id, [])
    await self._add(entries, Entry(len(entries) + 1, entry.run, entry.choices))
    return True


def _read_one_too_far(read: Callable[..., Any]) -> Callable[..., Any]:
    async def read_on(self: Any, job_id: Any, *, after: int, **options: Any) -> list[Entry]:
        return await read(self, job_id, after=after + bool(after), **options)

    return read_on


async def _ask_and_not_wait(self: Any, claim: Any) -> Any:
    job = claim.job
    if not job.stream:
        return await self._engine.complete(job.model, claim.request)
    buffer = relay._Buffer()
    writing = relay.asyncio.create_task(self._write(job, buffer))
    try:
        return await self._engine.stream(job.model, claim.request, buffer.add)
    finally:
        writing.cancel()


async def _no_reason(*_: Any) -> None:
    """Every dead letter may be redriven."""


def _with_its_attempts(redriven: Callable[..., Job]) -> Callable[..., Job]:
    def redrive(self: Job, ticket: Any) -> Job:
        return replace(redriven(self, ticket), attempts=self.attempts)

    return redrive


def _without_its_deaths(redriven: Callable[..., Job]) -> Callable[..., Job]:
    def redrive(self: Job, ticket: Any) -> Job:
        return replace(redriven(self, ticket), deaths=())

    return redrive


def _earlier(erases: Callable[..., bool]) -> Callable[..., bool]:
    def erase_earlier(self: Rule, job: Job, batch_ended_at: float | None, now: float) -> bool:
        return erases(self, job, batch_ended_at, now + self.after_s / 2)

    return erase_earlier


def _whatever_the_batch(erases: Callable[..., bool]) -> Callable[..., bool]:
    def erase_lines(self: Rule, job: Job, _: float | None, now: float) -> bool:
        return erases(self, job, job.finished_at, now)

    return erase_lines


async def _keep_bodies(self: Any, after: Job) -> bool:
    return self._replace(after)


async def _do_nothing(*_: Any, **__: Any) -> int:
    return 0


def _if_it_can_be(write: Callable[..., Any]) -> Callable[..., Any]:
    async def write_if_it_can_be(self: Archivist, plan: Plan) -> None:
        with contextlib.suppress(Unavailable):
            await write(self, plan)

    return write_if_it_can_be


FEATURE_BUGS: dict[str, Plant] = {
    "what a queue lost stays lost": replacing(LostMessages, "tick", _do_nothing),
    "a line is another job each time it is read": replacing(batch_input, "line_name", _named_anew),
    "a batch is written whatever stands": replacing(MemoryBatchStore, "swap", _swap_an_ended_batch),
    "a batch ends before its last line": replacing(Counts, "ended", property(_one_line_early)),
    "a batch names files that nobody keeps": replacing(BatchOutput, "_publish", _publish_nothing),
    "a line that the store refuses is passed over": replacing(
        BatchRunner, "_submit", _submit_if_it_can_be
    ),
    "a batch that ends early forgets what was no job yet": replacing(
        BatchRunner, "_end_jobs", _end_what_is_there
    ),
    "a batch forgets its error file": changing(Batch, "written", _without_errors),
    "a batch of a dead gateway is left alone": replacing(Batch, "free", _free_if_let_go),
    "a file is deleted under its batch": replacing(MemoryBatchStore, "reads", _read_by_nobody),
    "a cancelled job is not told": changing(MemoryOutbox, "job_ended", _untold(JobState.CANCELLED)),
    "a dead job is not told": changing(MemoryOutbox, "job_ended", _untold(JobState.DEAD)),
    "a batch's end is not told": replacing(MemoryOutbox, "batch_ended", _nothing_of_batches),
    "an end is told before it is written": changing(MemoryJobStore, "swap", _told_before_it_is_so),
    "a webhook of a dead sender stays with it": changing(Dispatch, "leased", _leased_for_ever),
    "each attempt has an id of its own": changing(Teller, "tell", _an_id_for_each_attempt),
    "a refusal counts as told": changing(webhook_window, "react", _all_is_well),
    "a webhook is tried once": changing(webhook_window, "react", _given_up_at_once),
    "a disabled endpoint is told all the same": both(
        changing(Window, "_endpoint_for", _as_if_enabled),
        replacing(Endpoint, "wants", _wants_always),
    ),
    "webhooks are signed with another secret": replacing(Endpoint, "secrets", _signed_by_nobody),
    "a run that follows another is no restart": replacing(
        MemoryTokenStreams, "begin", _begin_without_restart
    ),
    "whoever ran a job goes on telling": replacing(
        MemoryTokenStreams, "append", _append_whoever_runs
    ),
    "a reader misses what came in between": changing(MemoryTokenStreams, "read", _read_one_too_far),
    "a result is stored before its last tokens": replacing(Relay, "ask", _ask_and_not_wait),
    "redrives have no cap": replacing(Triage, "_why_not", _no_reason),
    "a redriven job keeps its attempts": changing(Job, "redriven", _with_its_attempts),
    "a redriven job forgets its deaths": changing(Job, "redriven", _without_its_deaths),
    "bodies are erased early": changing(Rule, "erases", _earlier),
    "lines of open batches are erased": changing(Rule, "erases", _whatever_the_batch),
    "an erased body is there": replacing(MemoryJobStore, "erase", _keep_bodies),
    "nothing is ever erased": replacing(BodyEraser, "tick", _do_nothing),
    "what ended late is not archived": replacing(Archivist, "_look_again", _do_nothing),
    "the archive goes on past what could not be written": changing(
        Archivist, "_write", _if_it_can_be
    ),
}


STORE_BUGS: dict[str, Plant] = {
    "a record of a batch is replaced whatever stands": statement(
        batches, "swap_batch", "AND version = ?", "AND version <> -?"
    ),
    "a queued line outlives its batch": statement(batches, "unended_of_batch", "'queued', ", ""),
    "a run without a claim goes on telling": statement(
        streams, "job_at_version", "version = ?", "version >= ?"
    ),
    "retention passes by what is too new": statement(
        retention, "read_ended", "<= :before", "<= :before + 30"
    ),
}
"""Of SQLite."""
