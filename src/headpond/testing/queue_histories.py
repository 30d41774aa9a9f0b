"""Random histories of a queue, compared step by step with the queue in memory.

A backend's test is a subclass with one hook:

    class RedisQueueHistories(QueueHistories):
        def backend(self, clock):
            return a_redis_queue(clock)     # an async context manager that gives the queue

    def test_redis_keeps_the_histories_of_the_model():
        run_state_machine_as_test(RedisQueueHistories)

Times lie on a coarse grid, so that leases, delays and the clock's steps meet on the same moments:
there the mistakes are. Tokens are the backend's own, so messages are told by their job's id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

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

LEASE_S = 3.0
LANES = (INTERACTIVE, BATCH, OTHER_POOL)
TEAMS = ("one", "two", "three")
LOOKS = ((BATCH,), (INTERACTIVE, BATCH), (BATCH, INTERACTIVE), (OTHER_POOL, INTERACTIVE))
DELAYS = st.sampled_from([0.0, 0.0, 1.0, 3.0, 4.0])


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

    @rule(some=st.lists(SENT, min_size=1, max_size=3), delay_s=DELAYS)
    def send(self, some: Sequence[tuple[Lane, str, int, float]], delay_s: float) -> None:
        messages = [
            message(f"job-{next(self.numbers):04}", lane, team=team, tokens=tokens, weight=weight)
            for lane, team, tokens, weight in some
        ]
        self.wait(self.model.send(messages, delay_s=delay_s))
        self.wait(self.real.send(messages, delay_s=delay_s))
        self.unacknowledged |= {sent.job_id for sent in messages}

    @rule(lanes=st.sampled_from(LOOKS), limit=st.integers(1, 3))
    def receive(self, lanes: Sequence[Lane], limit: int) -> None:
        self.pairs += self.take(lanes, limit)

    @rule(seconds=st.integers(0, 4))
    def receive_later(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.pairs += self.take(LANES, limit=2)

    @precondition(lambda self: self.pairs)
    @rule(some=SOME)
    def extend(self, some: Sequence[int]) -> None:
        pairs = self.picked(some)
        until = self.clock.now() + LEASE_S
        expected = self.wait(self.model.extend([pair.model for pair in pairs], lease_s=LEASE_S))
        kept = self.wait(self.real.extend([pair.real for pair in pairs], lease_s=LEASE_S))
        assert kept == [pair.real for pair in pairs if pair.model in expected]
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
    @rule(some=SOME, delay_s=DELAYS)
    def give_back(self, some: Sequence[int], delay_s: float) -> None:
        pairs = self.picked(some)
        self.wait(self.model.give_back([pair.model for pair in pairs], delay_s=delay_s))
        self.wait(self.real.give_back([pair.real for pair in pairs], delay_s=delay_s))
        self.released(pairs)

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.integers(1, 6))
    def the_clock_jumps_back(self, seconds: int) -> None:
        self.clock.advance(-seconds)

    @invariant()
    def depths_are_equal(self) -> None:
        for lane in LANES:
            assert self.wait(self.real.depth(lane)) == self.wait(self.model.depth(lane))

    @override
    def at_the_end(self) -> None:
        """Nothing was lost, and nothing that was acknowledged is left."""
        self.clock.advance(1_000)
        pairs = self.take(LANES, limit=1_000)
        assert {pair.real.message.job_id for pair in pairs} == self.unacknowledged

    def picked(self, some: Sequence[int]) -> list[LeasePair]:
        """Those leases, as far as there are so many."""
        return [self.pairs[-1 - number] for number in some if number < len(self.pairs)]

    def take(self, lanes: Sequence[Lane], limit: int) -> list[LeasePair]:
        """Receive from both; the same messages must come, lane for lane."""
        now = self.clock.now()
        expected = self.wait(self.model.receive(lanes, limit=limit, lease_s=LEASE_S))
        leases = self.wait(self.real.receive(lanes, limit=limit, lease_s=LEASE_S))
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
            self.holders[job_id] = (lease, now + LEASE_S)
        pairs = [LeasePair(lease, by_job[lease.message.job_id]) for lease in expected]
        assert all(pair.real.message == pair.model.message for pair in pairs)
        return pairs

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
