"""Random histories of a queue, compared step by step with the queue in memory.

A backend's test is a subclass with one hook:

    class RedisQueueHistories(QueueHistories):
        def backend(self, clock):
            return a_redis_queue(clock)     # an async context manager that gives the queue

    def test_redis_keeps_the_histories_of_the_model():
        run_state_machine_as_test(RedisQueueHistories)

Times lie on a coarse grid, so that leases, delays and the clock's steps meet on the same moments:
there the mistakes are. Tokens are the backend's own, so messages are told by their job's id.

A cloud's queue keeps no order, counts in its own way and goes by its own clock. It is a subclass of
`UnorderedQueueHistories`, which asks of it what is left.
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
from typing_extensions import override

from headpond.adapters.memory.queue import MemoryQueue
from headpond.domain.lane import Lane
from headpond.ports.queue import Lease, Queue
from headpond.testing.histories import Histories
from headpond.testing.queue_suite import BATCH, INTERACTIVE, OTHER_POOL, message, names

LEASE = 3.0
LANES = (INTERACTIVE, BATCH, OTHER_POOL)
TEAMS = ("one", "two", "three")
LOOKS = ((BATCH,), (INTERACTIVE, BATCH), (BATCH, INTERACTIVE), (OTHER_POOL, INTERACTIVE))
DELAYS = st.sampled_from([0.0, 0.0, 1.0, 3.0, 4.0])
"""As the lease, in units of the grid."""

ALL = 1_000


@dataclass(frozen=True)
class LeasePair:
    """One receipt of a message: the model's lease and the backend's."""

    model: Lease
    real: Lease


SENT = st.tuples(
    st.sampled_from(LANES),
    st.sampled_from(TEAMS),
    st.sampled_from([0, 1, 1, 2, 5]),
    st.sampled_from([1.0, 1.0, 2.0, 0.5]),
)
"""Lane, team, tokens and weight of a message: few of each, so that turns meet."""

SOME = st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)
"""Which of the leases that were ever handed out, counted from the newest."""


class QueueHistories(Histories[Queue]):
    """The contract of `headpond.ports.queue`, as far as it can be seen from outside. SPEC Q1 Q2."""

    unit_s: ClassVar[float] = 1.0
    """The grid."""

    def __init__(self) -> None:
        super().__init__()
        self.model = MemoryQueue(self.clock)
        self.numbers = count(1)
        self.unacknowledged: set[str] = set()
        self.pairs: list[LeasePair] = []
        # What each message's newest lease promises: the lease and its end.
        self.holders: dict[str, tuple[Lease, float]] = {}

    @initialize(lane=st.sampled_from(LANES[:2]))
    def begin(self, lane: Lane) -> None:
        self.send([(lane, "one", 1, 1.0), (BATCH, "two", 1, 1.0)], 0.0)

    @rule(some=st.lists(SENT, min_size=1, max_size=3), delay=DELAYS)
    def send(self, some: Sequence[tuple[Lane, str, int, float]], delay: float) -> None:
        messages = [
            message(f"job-{next(self.numbers):04}", lane, team=team, tokens=tokens, weight=weight)
            for lane, team, tokens, weight in some
        ]
        delay_s = delay * self.unit_s
        self.wait(self.model.send(messages, delay_s=delay_s))
        self.wait(self.real.send(messages, delay_s=delay_s))
        self.unacknowledged |= {sent.job_id for sent in messages}

    @rule(lanes=st.sampled_from(LOOKS), limit=st.integers(1, 3))
    def receive(self, lanes: Sequence[Lane], limit: int) -> None:
        self.pairs += self.take(lanes, limit)

    @rule(units=st.integers(0, 4))
    def receive_later(self, units: int) -> None:
        self.clock.advance(units * self.unit_s)
        self.pairs += self.take(LANES, limit=2)

    @precondition(lambda self: self.pairs)
    @rule(some=SOME)
    def extend(self, some: Sequence[int]) -> None:
        pairs = self.picked(some)
        lease_s = LEASE * self.unit_s
        until = self.clock.now() + lease_s
        expected = self.wait(self.model.extend([pair.model for pair in pairs], lease_s=lease_s))
        kept = self.wait(self.real.extend([pair.real for pair in pairs], lease_s=lease_s))
        tokens = [pair.real.token for pair in pairs if pair.model in expected]
        assert sorted(lease.token for lease in kept) == sorted(tokens)
        for lease in kept:
            assert self.holds(lease), f"{lease} was extended after it had ended"
            self.holders[lease.message.job_id] = (lease, until)

    @precondition(lambda self: self.pairs)
    @rule(some=SOME)
    def ack(self, some: Sequence[int]) -> None:
        pairs = self.picked(some)
        self.wait(self.model.ack([pair.model for pair in pairs]))
        self.wait(self.real.ack([pair.real for pair in pairs]))
        self.unacknowledged -= {pair.real.message.job_id for pair in self.released(pairs)}

    @precondition(lambda self: self.pairs)
    @rule(some=SOME)
    def drop(self, some: Sequence[int]) -> None:
        pairs = self.picked(some)
        self.wait(self.model.drop([pair.model for pair in pairs]))
        self.wait(self.real.drop([pair.real for pair in pairs]))
        self.unacknowledged -= {pair.real.message.job_id for pair in self.released(pairs)}

    @precondition(lambda self: self.pairs)
    @rule(some=SOME, delay=DELAYS)
    def give_back(self, some: Sequence[int], delay: float) -> None:
        pairs, delay_s = self.picked(some), delay * self.unit_s
        self.wait(self.model.give_back([pair.model for pair in pairs], delay_s=delay_s))
        self.wait(self.real.give_back([pair.real for pair in pairs], delay_s=delay_s))
        self.released(pairs)

    @rule(units=st.integers(1, 4))
    def time_passes(self, units: int) -> None:
        self.clock.advance(units * self.unit_s)

    @rule(units=st.integers(1, 6))
    def the_clock_jumps_back(self, units: int) -> None:
        self.clock.advance(-units * self.unit_s)

    @rule()
    def backlogs_are_equal(self) -> None:
        for lane in LANES:
            assert self.wait(self.real.backlog(lane)) == self.wait(self.model.backlog(lane))

    @invariant()
    def depths_are_equal(self) -> None:
        for lane in LANES:
            assert self.wait(self.real.depth(lane)) == self.wait(self.model.depth(lane))

    @override
    def at_the_end(self) -> None:
        """Nothing was lost, and nothing that was acknowledged is left."""
        self.clock.advance(1_000 * self.unit_s)
        pairs = self.take(LANES, limit=ALL)
        assert {pair.real.message.job_id for pair in pairs} == self.unacknowledged

    def picked(self, some: Sequence[int]) -> list[LeasePair]:
        """Those leases, as far as there are so many."""
        return [self.pairs[-1 - number] for number in some if number < len(self.pairs)]

    def take(self, lanes: Sequence[Lane], limit: int) -> list[LeasePair]:
        """Receive from both; the same messages must come, lane for lane."""
        now, lease_s = self.clock.now(), LEASE * self.unit_s
        leases = self.wait(self.real.receive(lanes, limit=limit, lease_s=lease_s))
        expected = self.expected(leases, lanes, limit, lease_s)
        assert [lease.message.lane for lease in leases] == [
            lease.message.lane for lease in expected
        ]
        assert sorted(names(leases)) == sorted(names(expected))
        # What was found to have lapsed is over, even if the clock then jumps back.
        self.holders = {
            job_id: (lease, until)
            for job_id, (lease, until) in self.holders.items()
            if until > now or lease.message.lane not in lanes
        }
        by_job = {lease.message.job_id: lease for lease in leases}
        for lease in leases:
            job_id = lease.message.job_id
            assert job_id not in self.holders, f"{self.holders[job_id]} and {lease} hold one"
            self.holders[job_id] = (lease, now + lease_s)
        pairs = [LeasePair(lease, by_job[lease.message.job_id]) for lease in expected]
        assert all(pair.real.message == pair.model.message for pair in pairs)
        return pairs

    def expected(
        self,
        leases: Sequence[Lease],  # noqa: ARG002 - the other kind follows them
        lanes: Sequence[Lane],
        limit: int,
        lease_s: float,
    ) -> list[Lease]:
        """What the model gives, where the backend gave these."""
        return self.wait(self.model.receive(lanes, limit=limit, lease_s=lease_s))

    def holds(self, lease: Lease) -> bool:
        """Whether nobody else got the message since, and the lease has time left."""
        held = self.holders.get(lease.message.job_id)
        return held is not None and held[0] == lease and held[1] > self.clock.now()

    def released(self, pairs: Sequence[LeasePair]) -> list[LeasePair]:
        """Those that held; they hold no more."""
        held = [pair for pair in pairs if self.holds(pair.real)]
        for pair in held:
            del self.holders[pair.real.message.job_id]
        return held


class UnorderedQueueHistories(QueueHistories):
    """As much as a queue promises that keeps no order within a lane.

    Where the model would choose by order, it follows the backend, which may choose any that is
    ready. What a lane holds is counted as one, for some count apart otherwise or not at all.

    The backend's clock goes on by itself, so a history must be over within a unit; and never back.
    """

    unit_s = 60.0

    @override
    def expected(
        self, leases: Sequence[Lease], lanes: Sequence[Lane], limit: int, lease_s: float
    ) -> list[Lease]:
        ready = self.wait(self.model.receive(lanes, limit=ALL, lease_s=lease_s))
        assert len(leases) == min(limit, len(ready))
        chosen = set(names(leases))
        others = [lease for lease in ready if lease.message.job_id not in chosen]
        self.wait(self.model.give_back(others))
        chosen_lanes = [lease.message.lane for lease in ready if lease not in others]
        assert chosen_lanes == [lease.message.lane for lease in ready[:limit]]
        return [lease for lease in ready if lease not in others]

    @override
    def the_clock_jumps_back(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Not by a rule: it does not go by this clock."""

    @override
    def backlogs_are_equal(self) -> None:
        """Not by a rule: it does not tell teams apart."""

    @invariant()
    @override
    def depths_are_equal(self) -> None:
        for lane in LANES:
            depths = [self.wait(queue.depth(lane)) for queue in (self.real, self.model)]
            real, model = (depth.ready + depth.leased + depth.delayed for depth in depths)
            assert real == model, lane
