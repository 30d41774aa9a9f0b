"""Dead letters for whoever runs the system: looked at in groups, redriven, given up, exported.

A redriven job is the same job: clients that poll its id see it go on. How it died before stays in
its record. Each job is put back in one step of its own, under the version that was read, so a run
that is cut off has lost and doubled nothing, and the next one takes what is left.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import msgspec
from msgspec import Raw

from headpond.domain.batch import BatchStatus
from headpond.domain.cause import Cause, CauseGroup, cause_of, with_one_more
from headpond.domain.job import BatchId, Death, Job, JobError, JobId, JobState
from headpond.errors import NotFound
from headpond.ports.batches import BatchStore
from headpond.ports.clock import Clock
from headpond.ports.dead_letters import DeadLetters, DeadQuery
from headpond.ports.delivery import Delivery
from headpond.ports.jobs import JobStore
from headpond.services.side_by_side import side_by_side

AT_ONCE = 256
"""Records that are changed side by side: a store may commit them together."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters. `cause` is a group's id; with `id` at most one is meant."""

    id: JobId | None = None
    cause: str | None = None
    query: DeadQuery = DeadQuery()


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the dead letters that were selected.

    Left among the dead: `capped` had been redriven too often already, the deadline of `overdue`
    has passed, the results of `batch_ended` are told already, and somebody else changed `missed` at
    the same moment.
    """

    selected: int = 0
    done: int = 0
    capped: int = 0
    overdue: int = 0
    batch_ended: int = 0
    missed: int = 0
    dry_run: bool = False


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as a case for evaluation: what was asked, and how it failed."""

    id: JobId
    team: str
    feature: str | None
    model: str
    task_type: str | None
    metadata: dict[str, str]
    request: Raw | None
    error: JobError | None
    cause: Cause
    deaths: tuple[Death, ...]
    attempts: int
    accepted_at: float
    finished_at: float | None


class Triage:
    """`max_redrives` is how often one job may be redriven, `per_second` the pace if none is given.

    For operators: it sees every team.
    """

    def __init__(
        self,
        dead: DeadLetters,
        jobs: JobStore,
        batches: BatchStore,
        delivery: Delivery,
        clock: Clock,
        *,
        max_redrives: int,
        per_second: float,
    ) -> None:
        self._dead = dead
        self._jobs = jobs
        self._batches = batches
        self._delivery = delivery
        self._clock = clock
        self._max_redrives = max_redrives
        self._per_second = per_second

    async def letter(self, job_id: JobId) -> Job:
        """One dead letter. Raises NotFound."""
        job = await self._jobs.get(job_id)
        if job is None or job.state is not JobState.DEAD:
            message = f"There is no dead letter {job_id!r}."
            raise NotFound(message, code="dead_letter_not_found", param="id")
        return job

    async def letters(self, selection: Selection) -> AsyncGenerator[Job]:
        """The dead letters of a selection, in the order of their deaths."""
        if selection.id is not None:
            job = await self.letter(selection.id)
            if _fits(job, selection):
                yield job
            return
        async for job in self._dead.read(selection.query):
            if _fits(job, selection):
                yield job

    async def groups(self, selection: Selection) -> list[CauseGroup]:
        """By cause, the largest first."""
        groups: dict[str, CauseGroup] = {}
        async for job in self.letters(selection):
            cause = cause_of(job.error)
            groups[cause.id] = with_one_more(groups.get(cause.id), cause, job)
        return sorted(groups.values(), key=lambda group: -group.count)

    async def redrive(
        self, selection: Selection, *, per_second: float | None = None, dry_run: bool = False
    ) -> Tally:
        """Put them back into their lanes, so many a second, each with all its attempts again.

        All are put back at once and the later ones are held back in the lane: what paces them is
        as durable as they are.
        """
        pace_s = 1.0 / (per_second or self._per_second)
        began = self._clock.now()
        redriven = 0

        async def redrive(job: Job) -> bool:
            nonlocal redriven
            ready_at = began + redriven * pace_s
            redriven += 1
            delay_s = max(0.0, ready_at - self._clock.now())
            return await self._delivery.redrive(job, delay_s=delay_s)

        return await self._each(selection, redrive, why_not=self._why_not, dry_run=dry_run)

    async def discard(self, selection: Selection, *, dry_run: bool = False) -> Tally:
        """Give them up for good: they end as failed, with the reason that they died of."""

        async def discard(job: Job) -> bool:
            return await self._jobs.swap(job.discarded(self._clock.now()))

        async def why_not(_job: Job, _now: float) -> None:
            pass

        return await self._each(selection, discard, why_not=why_not, dry_run=dry_run)

    async def case(self, job_id: JobId) -> Case:
        """One dead letter with its request. Raises NotFound."""
        return await self._case(await self.letter(job_id))

    async def cases(self, selection: Selection) -> AsyncIterator[Case]:
        """Each with its request, for an evaluation or a bug report."""
        async for job in self.letters(selection):
            yield await self._case(job)

    async def _case(self, job: Job) -> Case:
        bodies = await self._jobs.bodies(job.id)
        return _case(job, None if bodies is None else Raw(bodies.request))

    async def _each(
        self,
        selection: Selection,
        act: Callable[[Job], Awaitable[bool]],
        *,
        why_not: Callable[[Job, float], Awaitable[str | None]],
        dry_run: bool,
    ) -> Tally:
        counts = Counter[str]()
        async for chunk in self._chunks(selection):
            now = self._clock.now()
            reasons = [(job, await why_not(job, now)) for job in chunk]
            fit = [job for job, reason in reasons if reason is None]
            counts.update(reason for _, reason in reasons if reason is not None)
            counts["selected"] += len(chunk)
            done = len(fit) if dry_run else sum(await side_by_side(map(act, fit)))
            counts["done"] += done
            counts["missed"] += len(fit) - done
        return Tally(**counts, dry_run=dry_run)

    async def _chunks(self, selection: Selection) -> AsyncIterator[list[Job]]:
        began = self._clock.now()
        chunk: list[Job] = []
        async for job in self.letters(selection):
            # One that was redriven in this very run has died again: not another time.
            if (job.finished_at or 0.0) > began:
                break
            chunk.append(job)
            if len(chunk) == AT_ONCE:
                yield chunk
                chunk = []
        yield chunk

    async def _why_not(self, job: Job, now: float) -> str | None:
        if len(job.deaths) >= self._max_redrives:
            return "capped"
        if job.deadline is not None and job.deadline <= now:
            return "overdue"
        return "batch_ended" if job.batch is not None and await self._told(job.batch) else None

    async def _told(self, batch_id: BatchId) -> bool:
        """Whether what becomes of a line would not be told: its batch says already how it died."""
        batch = await self._batches.get(batch_id)
        return batch is None or batch.status is not BatchStatus.IN_PROGRESS


def _fits(job: Job, selection: Selection) -> bool:
    code = selection.query.code
    return (code is None or (job.error is not None and job.error.code == code)) and (
        selection.cause is None or cause_of(job.error).id == selection.cause
    )


def _case(job: Job, request: Raw | None) -> Case:
    return Case(
        id=job.id,
        team=job.team,
        feature=job.feature,
        model=job.model,
        task_type=job.task_type,
        metadata=job.metadata,
        request=request,
        error=job.error,
        cause=cause_of(job.error),
        deaths=job.deaths,
        attempts=job.attempts,
        accepted_at=job.accepted_at,
        finished_at=job.finished_at,
    )
