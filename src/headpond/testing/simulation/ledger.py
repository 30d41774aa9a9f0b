"""What was promised to whom, and whether it was kept.

While a world runs, the ledger hears every fact and looks at every record; at the end it is compared
with what the store holds. It believes what it was told: a client that has a receipt has a job.
"""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
from typing_extensions import override

from headpond.domain.facts import (
    DutyFailed,
    Fact,
    JobClaimed,
    JobSettled,
    Reaped,
)
from headpond.domain.job import Job, JobId, JobState
from headpond.ports.audit import AuditEntry
from headpond.ports.events import Listener
from headpond.testing.simulation.engine import Prompt, answer_to
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.plan import Fault

ABORT_WITHIN_S = 1.0
"""After the heartbeat that finds that a claim has fallen."""

BURIED_FOR_THE_ENGINE = ("engine_error", "engine_timeout")


class Ledger(Listener):
    """Of one world."""

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self._policy = fates.plan.pool.retry
        self._receipts: dict[str, set[JobId]] = {}
        self._ends: dict[JobId, Job] = {}
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
            case JobSettled(job) | Reaped(job, "expired"):
                self.saw(job)
            case DutyFailed(duty, error) if not error.startswith("Unavailable("):
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
        if job.state.terminal and self._ends.setdefault(job.id, job) != job:
            self._fates.violated(f"{job.id} ended twice: {self._ends[job.id].state}, {job.state}")

    def looked(self, records: Sequence[Job], now: float) -> None:
        """The store as it stands now."""
        newest = {job.id: job for job in records}
        for before in self._newest.values():
            job = newest.get(before.id)
            if job is None:
                self._fates.violated(f"{before.id} is lost")
            elif job.version < before.version or (job.version == before.version and job != before):
                self._fates.violated(f"{before.id} went back to version {job.version}")
            elif before.state.terminal and job != before:
                self._fates.violated(f"{before.id} was changed after its end")
        for job in records:
            self.saw(job)
            if job.state.terminal:
                self._seen_ended_at.setdefault(job.id, now)
        self._newest = newest

    def runs(self, order: str, now: float) -> None:
        """An engine works on this order; where workers are spared, not for long after its end."""
        if not self._fates.plan.workers_spared:
            return
        for job in self._newest.values():
            if job.metadata["order"] == order and job.state.terminal:
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
        prompt = msgspec.json.decode(entry.request, type=Prompt)
        if prompt.order != order:
            self._fates.violated(f"{job.id} has the request of another job")
        self._check_innocence(job, poison=prompt.poison)
        right = answer_to(entry.request) if job.state is JobState.SUCCEEDED else None
        if entry.response != right:
            self._fates.violated(f"{job.id} is {job.state} with the response {entry.response}")
        # The run that succeeded, was cancelled or was cut off is an attempt too.
        exhausted = job.error is not None and job.error.code in BURIED_FOR_THE_ENGINE
        if job.attempts > broke[order] + (0 if exhausted else 1):
            self._fates.violated(f"{job.id} paid {job.attempts} attempts for {broke[order]}")
        if exhausted and job.attempts != job.max_attempts:
            self._fates.violated(f"{job.id} was buried after {job.attempts} attempts")

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
