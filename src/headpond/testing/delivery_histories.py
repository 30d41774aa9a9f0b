"""Random histories of a delivery, compared step by step with the two steps in memory.

A backend's test is a subclass with one hook:

    class RedisDeliveryHistories(DeliveryHistories):
        def backend(self, clock):
            return a_redis_stage(clock)     # an async context manager that gives the stage

    def test_redis_keeps_the_histories_of_the_model():
        run_state_machine_as_test(RedisDeliveryHistories)

A claim can be settled, renewed and settled again at any later time, so every history is full of
zombies. Times lie on a grid of half a lease. Tokens and new tickets are the backend's own, so
claims are told by their job and records are compared without their ticket.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec.structs import replace
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.job import Job, JobId, Ticket, Usage
from headpond.domain.lane import Priority, lanes_of
from headpond.domain.outcome import Answered, Broke, NotNow, Outcome, Refused, settle
from headpond.domain.retry import RetryPolicy
from headpond.ports.audit import AuditEntry, AuditQuery
from headpond.ports.delivery import Claim
from headpond.ports.jobs import Added, Idempotency, NewJob, Try
from headpond.ports.queue import message_of
from headpond.services.broadcast import Broadcast
from headpond.services.reaper import Reaper
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.clocks import ManualClock
from headpond.testing.delivery_suite import LEASE_S, MAX_LOST_LEASES, Stage
from headpond.testing.histories import Histories
from headpond.testing.records import REQUEST, RESPONSE, a_job

UNIT_S = LEASE_S / 2
LANES = lanes_of("default")
MAX_ATTEMPTS = 2
RETRY = RetryPolicy(first_delay_s=2 * UNIT_S, not_now_s=UNIT_S)
OUTCOMES: tuple[Outcome, ...] = (
    Answered(response=RESPONSE, usage=Usage(1, 2)),
    Refused("no"),
    NotNow("full"),
    NotNow("full", retry_after_s=0.0),
    Broke("oops"),
)
AGES_S = 1_000 * UNIT_S
"""Longer than any lease or delay, however far the clock has jumped back."""


@dataclass(frozen=True)
class ClaimPair:
    """One claim of a job: the model's and the backend's."""

    model: Claim
    real: Claim


NUMBER = st.integers(0, 5)
"""Which claim or record of those that were ever read, counted from the newest."""


def stage_in_memory(clock: ManualClock) -> Stage:
    """The model: two steps on the adapters in memory."""
    jobs, queue = MemoryJobStore(clock), MemoryQueue(clock)
    tickets = count(1)
    delivery = TwoStepDelivery(
        jobs,
        queue,
        clock=clock,
        new_ticket=lambda: Ticket(f"again-{next(tickets)}"),
        lease_s=LEASE_S,
        max_lost_leases=MAX_LOST_LEASES,
    )
    return Stage(delivery, jobs, queue, MemoryAudit(jobs), clock)


class DeliveryHistories(Histories[Stage]):
    """The contract of `headpond.ports.delivery`, as far as it can be seen. SPEC Q2 Q3 A1."""

    compares_every: ClassVar[int] = 1
    """After so many steps all records are compared; more where reading them takes long."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = count(1)
        self.model = stage_in_memory(self.clock)
        self.known: list[JobId] = []
        self.ended: dict[JobId, Job] = {}
        self.pairs: list[ClaimPair] = []
        self.records: list[Job] = []  # as somebody read them once, from the model
        # What each job's newest claim promises: the claim and the end of its lease.
        self.holders: dict[JobId, tuple[Claim, float]] = {}

    @initialize()
    def begin(self) -> None:
        self.submit("one", "a", "x", Priority.BATCH, None)
        self.submit("one", None, "x", Priority.BATCH, 2)

    @rule(
        team=st.sampled_from(["one", "two"]),
        key=st.sampled_from([None, "a", "b"]),
        fingerprint=st.sampled_from(["x", "y"]),
        priority=st.sampled_from(Priority),
        deadline=st.sampled_from([None, None, 1, 2]),
    )
    def submit(
        self, team: str, key: str | None, fingerprint: str, priority: Priority, deadline: int | None
    ) -> None:
        self.hand_in(self.new(team, key, fingerprint, priority, deadline))

    @rule(fingerprint=st.sampled_from(["x", "y"]), number=st.sampled_from([0, 0, 1, 2]))
    def submit_a_try(self, fingerprint: str, number: int) -> None:
        """Of a client that repeats by itself; remembered for three units."""
        new = self.new("one", None, "", Priority.BATCH, None)
        again = Try(fingerprint, number, self.clock.now() + 3 * UNIT_S)
        self.hand_in(replace(new, idempotency=again))

    def hand_in(self, new: NewJob) -> None:
        """Submit to both; the same must come of it."""
        expected = self.wait(self.model.delivery.submit(new))
        stored = self.wait(self.real.delivery.submit(new))
        assert type(stored) is type(expected)
        assert getattr(stored, "fingerprint", None) == getattr(expected, "fingerprint", None)
        assert same(stored.job, expected.job)
        if isinstance(stored, Added):
            self.known.append(stored.job.id)
        self.records.append(expected.job)

    @rule(sent=st.booleans())
    def a_submit_is_cut_off(self, sent: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        """As when the process dies between two steps, before or after the message is sent."""
        new = self.new("one", None, "x", Priority.BATCH, None)
        job = new.job
        message = message_of(job)
        for stage in (self.model, self.real):
            self.wait(stage.jobs.add(new))
            if sent:
                self.wait(stage.queue.send([message]))
        self.known.append(job.id)
        self.records.append(job)

    @rule(worker=st.sampled_from(["w1", "w2", "w3"]), limit=st.integers(1, 3))
    def claim(self, worker: str, limit: int) -> None:
        self.pairs += self.take(worker, limit)

    @rule(units=st.integers(0, 3))
    def claim_later(self, units: int) -> None:
        self.clock.advance(units * UNIT_S)
        self.pairs += self.take("late", limit=3)

    @precondition(lambda self: self.pairs)
    @rule(some=st.lists(NUMBER, min_size=1, max_size=3, unique=True))
    def renew(self, some: Sequence[int]) -> None:
        pairs = [self.pairs[-1 - number] for number in some if number < len(self.pairs)]
        expected = self.wait(self.model.delivery.renew([pair.model for pair in pairs]))
        kept = self.wait(self.real.delivery.renew([pair.real for pair in pairs]))
        assert kept == [pair.real for pair in pairs if pair.model in expected]
        for claim in kept:
            held, until = self.holders[claim.job.id]
            assert held == claim
            assert until > self.clock.now(), "a lapsed claim was renewed"
            self.holders[claim.job.id] = (claim, self.clock.now() + LEASE_S)

    @precondition(lambda self: self.pairs)
    @rule(number=NUMBER, outcome=st.sampled_from(OUTCOMES))
    def settle(self, number: int, outcome: Outcome) -> None:
        self.finish(self.pairs[-1 - number % len(self.pairs)], outcome)

    @precondition(lambda self: self.records)
    @rule(number=NUMBER, reads=st.booleans())
    def cancel(self, number: int, reads: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        record = self.records[-1 - number % len(self.records)]
        if reads:
            record = self.wait(self.model.jobs.get(record.id)) or record
            self.records.append(record)
        if not record.state.terminal:
            self.swap(record, record.cancelled(self.clock.now()))

    @precondition(lambda self: self.records)
    @rule(number=NUMBER, reads=st.booleans())
    def reissue(self, number: int, reads: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        record = self.records[-1 - number % len(self.records)]
        if reads:
            record = self.wait(self.model.jobs.get(record.id)) or record
        if not record.state.terminal:
            expected = self.wait(self.model.delivery.reissue(record))
            assert self.wait(self.real.delivery.reissue(self.as_real(record))) == expected
            if expected:
                self.holders.pop(record.id, None)

    @rule()
    def reap(self) -> None:
        expected, changed = (
            self.wait(
                Reaper(
                    stage.jobs,
                    stage.delivery,
                    clock=self.clock,
                    listener=Broadcast(),
                    accepted_grace_s=UNIT_S,
                ).tick()
            )
            for stage in (self.model, self.real)
        )
        assert changed == expected

    @rule(units=st.sampled_from([1, 1, 2, 2, 3, -1, -2, -4]))
    def time_passes_or_jumps_back(self, units: int) -> None:
        self.clock.advance(units * UNIT_S)

    @invariant()
    def both_are_equal_and_within_their_bounds(self) -> None:
        if next(self.steps) % self.compares_every == 0:
            self.compare()

    def compare(self) -> None:
        """All that can be read of both."""
        self.wait(self.check_records())
        self.wait(self.check_depths())
        self.wait(self.check_audit())

    async def check_records(self) -> None:
        """Equal, attempts bounded, and an end is an end."""
        for job_id in self.known:
            expected = await self.model.jobs.get(job_id)
            job = await self.real.jobs.get(job_id)
            assert job is not None
            assert expected is not None
            assert same(job, expected)
            assert await self.real.jobs.bodies(job_id) == await self.model.jobs.bodies(job_id)
            assert job.attempts <= job.max_attempts
            assert job.lost_leases <= MAX_LOST_LEASES
            if job.state.terminal:
                assert self.ended.setdefault(job_id, job) == job, "an end was changed"
            else:
                assert job_id not in self.ended, "an end was undone"

    async def check_depths(self) -> None:
        """Equal for each lane."""
        for lane in LANES:
            assert await self.real.queue.depth(lane) == await self.model.queue.depth(lane)

    async def check_audit(self) -> None:
        """Each end once, in the order of ends."""
        entries = await audited(self.real)
        assert [entry.job.finished_at for entry in entries] == sorted(
            entry.job.finished_at or 0.0 for entry in entries
        )
        assert len({entry.job.id for entry in entries}) == len(entries)
        assert {entry.job.id: entry.job for entry in entries} == self.ended
        expected = {entry.job.id: entry for entry in await audited(self.model)}
        for entry in entries:
            assert same(entry.job, expected[entry.job.id].job)
            assert entry.request == expected[entry.job.id].request
            assert entry.response == expected[entry.job.id].response

    @override
    def at_the_end(self) -> None:
        """Once workers succeed and the reaper looks; no message is left then."""
        self.clock.advance(AGES_S)
        for _ in range(2):
            self.reap()
            for pair in self.take("last", limit=1_000):
                self.finish(pair, OUTCOMES[0])
        for stage in (self.model, self.real):
            for job_id in self.known:
                job = self.wait(stage.jobs.get(job_id))
                assert job is not None
                assert job.state.terminal
            for lane in LANES:
                depth = self.wait(stage.queue.depth(lane))
                assert (depth.ready, depth.leased, depth.delayed) == (0, 0, 0)
        self.compare()

    def new(
        self, team: str, key: str | None, fingerprint: str, priority: Priority, deadline: int | None
    ) -> NewJob:
        """A job to submit; its key is remembered for three units."""
        now = self.clock.now()
        job = a_job(
            team=team,
            priority=priority,
            accepted_at=now,
            max_attempts=MAX_ATTEMPTS,
            deadline=None if deadline is None else now + deadline * UNIT_S,
        )
        idempotency = None if key is None else Idempotency(key, fingerprint, now + 3 * UNIT_S)
        return NewJob(job, REQUEST, idempotency)

    def take(self, worker: str, limit: int) -> list[ClaimPair]:
        """Claim from both; the same jobs must come, as the same records."""
        now = self.clock.now()
        expected = self.wait(self.model.delivery.claim(LANES, worker=worker, limit=limit))
        claims = self.wait(self.real.delivery.claim(LANES, worker=worker, limit=limit))
        by_job = {claim.job.id: claim for claim in claims}
        # What was found to have lapsed is over, even if the clock then jumps back.
        self.holders = {
            job_id: (claim, until) for job_id, (claim, until) in self.holders.items() if until > now
        }
        assert len(by_job) == len(claims), "one job was claimed twice at once"
        assert by_job.keys() == {claim.job.id for claim in expected}
        pairs = [ClaimPair(claim, by_job[claim.job.id]) for claim in expected]
        for pair in pairs:
            claim = pair.real
            assert same(claim.job, pair.model.job)
            assert claim.request == pair.model.request
            job_id = claim.job.id
            assert job_id not in self.holders, f"{self.holders[job_id]} and {claim} hold one"
            self.holders[claim.job.id] = (claim, now + LEASE_S)
        return pairs

    def finish(self, pair: ClaimPair, outcome: Outcome) -> None:
        """Settle both claims; the holder holds no more if it was the one who settled."""
        expected, written = (
            self.wait(
                stage.delivery.settle(
                    claim,
                    settle(
                        claim.job,
                        outcome,
                        engine="engine",
                        model_version="v",
                        now=self.clock.now(),
                        policy=RETRY,
                        chance=0.0,
                    ),
                )
            )
            for stage, claim in ((self.model, pair.model), (self.real, pair.real))
        )
        assert written == expected
        held = self.holders.get(pair.real.job.id)
        if held is not None and held[0] == pair.real:
            del self.holders[pair.real.job.id]

    def swap(self, before: Job, after: Job) -> None:
        """Replace a record in both stores, if it still stands as it was read."""
        expected = self.wait(self.model.jobs.swap(after))
        real = replace(after, ticket=self.as_real(before).ticket)
        assert self.wait(self.real.jobs.swap(real)) == expected

    def as_real(self, record: Job) -> Job:
        """The model's record with the backend's ticket."""
        job = self.wait(self.real.jobs.get(record.id))
        assert job is not None
        return replace(record, ticket=job.ticket)


def same(one: Job, other: Job) -> bool:
    """Equal but for the ticket, which each backend draws for itself."""
    return replace(one, ticket=Ticket("")) == replace(other, ticket=Ticket(""))


async def audited(stage: Stage) -> list[AuditEntry]:
    """The whole audit log, which says the same of the jobs alone."""
    entries = [entry async for entry in stage.audit.read(AuditQuery())]
    assert [entry.job for entry in entries] == [job async for job in stage.audit.jobs(AuditQuery())]
    return entries
