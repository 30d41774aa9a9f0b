"""What a queue must do that sets messages aside. Give it a `queue` fixture."""

from collections.abc import Sequence
from typing import Protocol

import pytest

from headpond.domain.lane import Lane
from headpond.ports.queue import DeadLetterQueue, Lease, Message, Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, INTERACTIVE, message, names

HIDDEN_S = 600.0
"""Nobody who looks at what was set aside keeps it from others for longer."""


class StrictQueue(Queue, DeadLetterQueue, Protocol):
    """A queue with the power."""


async def look_aside(queue: DeadLetterQueue, lane: Lane = BATCH) -> list[Lease]:
    """All that was set aside beside a lane and is not hidden."""
    return [lease async for leases in queue.undelivered(lane) for lease in leases]


async def come_to_nothing(queue: Queue, sent: Sequence[Message], times: int) -> None:
    """Have messages of one lane received and given back so often."""
    for _ in range(times):
        leases = await queue.receive([sent[0].lane], limit=len(sent), lease_s=10)
        assert sorted(names(leases)) == sorted(each.job_id for each in sent)
        await queue.give_back(leases)


async def set_aside(queue: Queue, *job_names: str, lane: Lane = BATCH) -> None:
    """Send messages, and have them come to nothing until they are set aside."""
    sent = [message(name, lane) for name in job_names]
    await queue.send(sent)
    await come_to_nothing(queue, sent, int(queue.limits.deliveries))
    # SQS moves what was received too often when it would be received once more.
    assert await queue.receive([lane], limit=len(sent), lease_s=10) == []


class DeadLetterQueueSuite:
    """The contract of `headpond.ports.queue.DeadLetterQueue`. SPEC Q1 Q3."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def queue(self, clock: ManualClock) -> StrictQueue:
        raise NotImplementedError("give the suite a queue on this clock")

    async def test_beside_a_new_lane_lies_nothing(self, queue: StrictQueue) -> None:
        assert await look_aside(queue) == []

    async def test_what_came_to_nothing_too_often_is_set_aside_as_it_was_sent(
        self, queue: StrictQueue
    ) -> None:
        await set_aside(queue, "a", "b")
        found = await look_aside(queue)
        assert sorted(names(found)) == ["a", "b"]
        assert message("a") in [lease.message for lease in found]

    async def test_its_lane_goes_on_and_others_are_left_alone(self, queue: StrictQueue) -> None:
        await set_aside(queue, "a")
        await queue.send([message("b"), message("c", INTERACTIVE)])
        (batch,) = await queue.receive([BATCH], limit=10, lease_s=10)
        (interactive,) = await queue.receive([INTERACTIVE], limit=10, lease_s=10)
        assert names([batch, interactive]) == ["b", "c"]
        assert await look_aside(queue, INTERACTIVE) == []

    async def test_what_came_to_nothing_less_often_is_not(self, queue: StrictQueue) -> None:
        sent = [message("a")]
        await queue.send(sent)
        await come_to_nothing(queue, sent, int(queue.limits.deliveries) - 1)
        assert await look_aside(queue) == []
        assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]

    async def test_a_lease_that_lapses_came_to_nothing(
        self, queue: StrictQueue, clock: ManualClock
    ) -> None:
        sent = [message("a")]
        await queue.send(sent)
        await come_to_nothing(queue, sent, int(queue.limits.deliveries) - 1)
        assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]
        clock.advance(HIDDEN_S)
        assert await queue.receive([BATCH], limit=1, lease_s=10) == []
        assert names(await look_aside(queue)) == ["a"]

    async def test_what_is_not_discarded_is_found_again(
        self, queue: StrictQueue, clock: ManualClock
    ) -> None:
        await set_aside(queue, "a", "b")
        first, second = await look_aside(queue)
        assert await look_aside(queue) == []
        await queue.discard(BATCH, [first])
        await queue.discard(BATCH, [])
        clock.advance(HIDDEN_S)
        (again,) = await look_aside(queue)
        assert again.message == second.message

    async def test_who_finds_it_again_may_discard_it(
        self, queue: StrictQueue, clock: ManualClock
    ) -> None:
        await set_aside(queue, "a")
        await look_aside(queue)
        clock.advance(HIDDEN_S)
        (again,) = await look_aside(queue)
        await queue.discard(BATCH, [again])
        await queue.discard(BATCH, [again])
        clock.advance(HIDDEN_S)
        assert await look_aside(queue) == []
