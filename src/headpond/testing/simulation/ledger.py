"""What was promised to whom, and whether it was kept.

While a world runs, the ledger hears every fact and looks at every record; at the end it is compared
with what the store holds. It believes what it was told: a client that has a receipt has a job.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from headpond.domain.batch import Batch
from headpond.domain.facts import (
    DutyFailed,
    Fact,
    JobClaimed,
    JobConvicted,
    JobSettled,
    Reaped,
)
from headpond.domain.job import BatchId, Job, JobId, JobState
from headpond.ports.audit import AuditEntry
from headpond.ports.events import Listener
from headpond.testing.simulation.engine import Prompt, is_answer, text_of
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.plan import Fault

ABORT_WITHIN_S = 1.0
"""After the heartbeat that finds that a claim has fallen."""

ERASED_WITHIN_S = 30.0
"""By the clock of whoever erases."""

BURIED_FOR_THE_ENGINE = ("engine_error", "engine_timeout")


class Ledger(Listener):
    """Of one world."""

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self._policy = fates.plan.pool.retry
        self._receipts: dict[str, set[JobId]] = {}
        self.erased_on_request: set[JobId] = set()
        self._ends: dict[tuple[JobId, int], Job] = {}
        self._convicted: set[JobId] = set()
        self._last_ends: dict[JobId, Job] = {}
        self._claims: set[tuple[JobId, int]] = set()
        self._newest: dict[JobId, Job] = {}
        self._seen_ended_at: dict[JobId, float] = {}

    @override
    def hear(self, fact: Fact) -> None:
        match fact:
            case JobClaimed(job):
                if (job.id, job.version) in self._claims:
                    self._fates.violated(f"{job.id} was claimed twice as version {job.version}")
                self._claims.add((job.id, job.version))
                if job.overdue(job.started_at or 0.0):
                    self._fates.violated(f"{job.id} was begun after its deadline")
                self.saw(job)
            case JobConvicted(job):
                self._convicted.add(job.id)
            case JobSettled(job) | Reaped(job, "expired"):
                self.saw(job)
            case DutyFailed(duty, error, passes=False):
                self._fates.violated(f"{duty} failed: {error}")
            case _:
                pass

    def receipt(self, order: str, job_id: JobId, *, keyed: bool) -> None:
        """A client was told that this job stands for its order."""
        known = self._receipts.setdefault(order, set())
        known.add(job_id)
        if keyed and len(known) > 1:
            self._fates.violated(f"{order} was answered with two jobs under one key")

    def saw(self, job: Job) -> None:
        """Somebody was told that the record stands like this."""
        if not 0 <= job.attempts <= job.max_attempts:
            self._fates.violated(f"{job.id} has {job.attempts} attempts of {job.max_attempts}")
        if job.state is JobState.RUNNING and job.attempts < 1:
            self._fates.violated(f"{job.id} runs without an attempt")
        if not 0 <= job.lost_leases <= self._policy.max_lost_leases:
            self._fates.violated(f"{job.id} was lost {job.lost_leases} times")
        if len(job.deaths) > self._fates.plan.max_redrives:
            self._fates.violated(f"{job.id} was redriven {len(job.deaths)} times")
        if job.state.terminal:
            self._ended(job)

    def _ended(self, job: Job) -> None:
        if self._ends.setdefault((job.id, job.version), job) != job:
            self._fates.violated(f"{job.id} ended twice as version {job.version}")
        if job.state is not JobState.DEAD:
            end = replace(job, version=0, erased_at=None)
            if (before := self._last_ends.setdefault(job.id, end)) != end:
                self._fates.violated(f"{job.id} ended twice: {before.state}, {job.state}")

    def answered(self, job: Job, response: bytes | None) -> None:
        """A client read this as the result of its job."""
        if response is None or not is_answer(text_of(response), job.metadata["order"]):
            self._fates.violated(f"{job.id} was answered with {response}")

    @property
    def ends(self) -> list[Job]:
        """Every end of a job that anybody saw."""
        return list(self._ends.values())

    @property
    def records(self) -> dict[JobId, Job]:
        """The records as they were last seen."""
        return self._newest

    def looked(self, records: Sequence[Job], now: float) -> None:
        """The store as it stands now."""
        newest = {job.id: job for job in records}
        for before in self._newest.values():
            job = newest.get(before.id)
            if job is None:
                self._fates.violated(f"{before.id} is lost")
            elif job.version < before.version or (job.version == before.version and job != before):
                self._fates.violated(f"{before.id} went back to version {job.version}")
            elif before.state.terminal and job != before and not _follows(job, before):
                self._fates.violated(f"{before.id} was changed after its end")
        for job in records:
            self.saw(job)
            if job.state.terminal:
                self._seen_ended_at.setdefault(job.id, now)
            else:
                self._seen_ended_at.pop(job.id, None)
        self._newest = newest

    def runs(self, orders: Sequence[str], now: float) -> None:
        """An engine works on these; where workers are spared, not for long after their ends."""
        if not self._fates.plan.workers_spared or not orders:
            return
        for job in self._newest.values():
            if job.state.terminal and job.metadata["order"] in orders:
                # Not since `finished_at`: on a slow line that is long before it is written.
                ended_s = now - self._seen_ended_at[job.id]
                if ended_s > self._fates.plan.pool.lease_s / 3 + ABORT_WITHIN_S:
                    self._fates.violated(f"{job.id} ended {ended_s:.1f} s ago and still runs")

    def close(self, entries: Sequence[AuditEntry], broke: Counter[str]) -> None:
        """Compare with the audit log and with what the engines did, at the end of everything."""
        records = self._newest
        for order, job_ids in self._receipts.items():
            if missing := job_ids - records.keys():
                self._fates.violated(f"{order} was accepted as {missing}, which is not there")
        for job in records.values():
            if not job.state.terminal:
                self._fates.violated(f"{job.id} has not ended: {job.state}")
            if job.state is JobState.EXPIRED and (job.finished_at or 0.0) < (
                job.deadline or math.inf
            ):
                self._fates.violated(f"{job.id} expired before its deadline")
        if sorted(entry.job.id for entry in entries) != sorted(records):
            self._fates.violated("the audit log has not one entry for each job")
        for entry in entries:
            self._check_entry(entry, broke)

    def check_keys(self, keyed: set[str]) -> None:
        """One record at most stands for each order that came under a key."""
        orders = Counter(job.metadata["order"] for job in self._newest.values())
        for order in keyed:
            if orders[order] > 1:
                self._fates.violated(f"{order} became {orders[order]} jobs under one key")

    def _check_entry(self, entry: AuditEntry, broke: Counter[str]) -> None:
        job, order = entry.job, entry.job.metadata["order"]
        if entry.job != self._newest.get(job.id):
            self._fates.violated(f"{job.id} is another in the audit log")
        self._check_bodies(entry)
        # The run that succeeded, was cancelled or was cut off is an attempt too.
        exhausted = job.error is not None and job.error.code in BURIED_FOR_THE_ENGINE
        if job.attempts > broke[order] + (0 if exhausted else 1):
            self._fates.violated(f"{job.id} paid {job.attempts} attempts for {broke[order]}")
        # What kept failing with others beside it is buried for its lost leases, or convicted.
        lost = job.lost_leases >= self._policy.max_lost_leases or job.id in self._convicted
        if exhausted and job.attempts != job.max_attempts and not lost:
            self._fates.violated(f"{job.id} was buried after {job.attempts} attempts")

    def _check_bodies(self, entry: AuditEntry) -> None:
        job, order = entry.job, entry.job.metadata["order"]
        if not entry.request:
            # A line that its batch ended before it became a job has none either.
            if job.erased_at is None and (job.batch is None or job.queued_at is not None):
                self._fates.violated(f"{job.id} has lost its request")
            return
        prompt = msgspec.json.decode(entry.request, type=Prompt)
        if prompt.order != order:
            self._fates.violated(f"{job.id} has the request of another job")
        self._check_innocence(job, poison=prompt.poison)
        answer = None if entry.response is None else text_of(entry.response)
        succeeded = job.state is JobState.SUCCEEDED
        right = is_answer(answer or "", order) if succeeded else answer is None
        if job.erased_at is not None or not right:
            self._fates.violated(f"{job.id} is {job.state} with the response {entry.response}")

    def check_retention(self, batches: Mapping[BatchId, Batch], now: float) -> None:
        """What was erased was kept long enough; and what was kept long enough is erased."""
        keep_s = self._fates.plan.keep_s
        for job in self._newest.values():
            if job.id in self.erased_on_request:
                continue
            batch = None if job.batch is None else batches[job.batch]
            ended_at = max(job.finished_at or 0.0, 0.0 if batch is None else batch.ended_at or 0.0)
            if job.erased_at is None:
                late_s = now - ended_at - (keep_s or math.inf)
                if late_s > ERASED_WITHIN_S and job.state is not JobState.DEAD:
                    self._fates.violated(f"{job.id} was to be erased {late_s:.0f} s ago")
            elif keep_s is None or job.erased_at < ended_at + keep_s:
                self._fates.violated(f"{job.id} was erased too early")

    def _check_innocence(self, job: Job, *, poison: bool) -> None:
        """Where only poison strikes at workers, nobody else pays for it."""
        plan = self._fates.plan
        if not plan.workers_spared or poison:
            return
        # At an engine of several workers each of them sees the others' poison work, and no cause.
        if Fault.POISON not in plan.faults:
            if job.lost_leases:
                self._fates.violated(f"{job.id} was lost {job.lost_leases} times for no reason")
        elif job.state is JobState.DEAD and not plan.shared_engine:
            self._fates.violated(f"{job.id} is buried for the poison of another: {job.error}")


def _follows(job: Job, before: Job) -> bool:
    """Whether a record that had ended may be this by now: erased, or taken from the dead."""
    if before.state is JobState.DEAD:
        return job.state is JobState.FAILED or len(job.deaths) > len(before.deaths)
    return job.erased_at is not None and job.finished_at == before.finished_at
