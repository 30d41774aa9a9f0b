"""What every queue must do. Subclass `QueueSuite` and give it a `queue` fixture.

The queue gets the suite's `clock`: nothing here waits for time to pass. What a queue of somebody
else's cannot do stands in `without`, with the reason; tests of it are skipped and say so.
"""

import asyncio
from collections.abc import Sequence

import pytest

from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import Lane, Priority
from headpond.ports.queue import Lease, Message, Power, Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.records import LONGEST

BATCH = Lane("default", Priority.BATCH)
INTERACTIVE = Lane("default", Priority.INTERACTIVE)
LANES = (INTERACTIVE, BATCH)
OTHER_POOL = Lane("other", Priority.BATCH)


def message(
    name: str, lane: Lane = BATCH, *, team: str = "team", tokens: int = 10, weight: float = 1.0
) -> Message:
    """A message of a job called `name`."""
    return Message(JobId(name), Ticket("ticket-" + name), lane, team, tokens, weight)


def names(leases: Sequence[Lease]) -> list[str]:
    """The jobs of the leases, in order."""
    return [lease.message.job_id for lease in leases]


def needs(queue: Queue, power: Power) -> None:
    """Skip the rest of a test where the queue lacks this."""
    if power in queue.lacks:
        pytest.skip(f"not a queue that {power}: {queue.lacks[power]}")


class QueueSuite:
    """The contract of `headpond.ports.queue`. SPEC Q1 Q2."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def queue(self, clock: ManualClock) -> Queue:
        raise NotImplementedError("give the suite a queue on this clock")

    async def receive(self, queue: Queue, *lanes: Lane, limit: int = 10) -> list[Lease]:
        """Receive under a lease of ten seconds, without waiting."""
        return await queue.receive(lanes or (BATCH,), limit=limit, lease_s=10)

    async def test_an_empty_lane_gives_nothing(self, queue: Queue) -> None:
        assert await self.receive(queue) == []

    async def test_a_message_comes_back_as_it_was_sent(self, queue: Queue) -> None:
        sent = message("a", team="one", tokens=7, weight=2.5)
        await queue.send([sent])
        (lease,) = await self.receive(queue)
        assert lease.message == sent

    @pytest.mark.parametrize("team", LONGEST)
    async def test_a_team_may_have_the_longest_name(self, queue: Queue, team: str) -> None:
        sent = message("a", team=team)
        await queue.send([sent])
        (lease,) = await self.receive(queue)
        assert lease.message == sent
        await queue.ack([lease])

    async def test_leases_of_several_lanes_have_tokens_of_their_own(self, queue: Queue) -> None:
        await queue.send([message("a"), message("b", INTERACTIVE)])
        leases = await self.receive(queue, *LANES)
        assert len({lease.token for lease in leases}) == 2
        first, second = leases
        await queue.ack([first])
        assert await queue.extend([first, second], lease_s=10) == [second]

    async def test_messages_come_in_the_order_of_sending(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        needs(queue, Power.ORDER)
        for name in "abc":
            await queue.send([message(name)])
            clock.advance(1)
        received = [await self.receive(queue, limit=1) for _ in range(3)]
        assert [names(leases) for leases in received] == [["a"], ["b"], ["c"]]

    async def test_no_more_than_the_limit_is_handed_out(self, queue: Queue) -> None:
        await queue.send([message(name) for name in "abc"])
        assert len(await self.receive(queue, limit=2)) == 2
        assert len(await self.receive(queue, limit=2)) == 1

    async def test_lanes_do_not_mix(self, queue: Queue) -> None:
        await queue.send([message("a", BATCH), message("b", OTHER_POOL)])
        assert names(await self.receive(queue, OTHER_POOL)) == ["b"]

    async def test_earlier_lanes_go_first(self, queue: Queue, clock: ManualClock) -> None:
        needs(queue, Power.PRIORITY)
        await queue.send([message("batch")])
        clock.advance(1)
        await queue.send([message("interactive", INTERACTIVE)])
        leases = await self.receive(queue, INTERACTIVE, BATCH)
        assert names(leases) == ["interactive", "batch"]

    async def test_the_backlog_is_what_waits_by_team(self, queue: Queue) -> None:
        needs(queue, Power.TEAMS)
        assert dict(await queue.backlog(BATCH)) == {}
        theirs = Message(JobId("theirs"), Ticket("t"), BATCH, "other", 7)
        await queue.send([message("a"), message("b"), theirs, message("c", OTHER_POOL)])
        await queue.send([message("later")], delay_s=60)
        await queue.receive([BATCH], limit=1, lease_s=10)
        backlog = dict(await queue.backlog(BATCH))
        assert sum(waiting.jobs for waiting in backlog.values()) == 3
        assert sum(waiting.work_tokens for waiting in backlog.values()) in {27, 30}

    async def test_a_leased_message_is_not_handed_out_twice(self, queue: Queue) -> None:
        await queue.send([message("a")])
        await self.receive(queue)
        assert await self.receive(queue) == []

    async def test_a_lapsed_lease_makes_the_message_ready_again(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await queue.send([message("a")])
        (first,) = await self.receive(queue)
        clock.advance(10)
        (second,) = await self.receive(queue)
        assert second.message == first.message
        assert second.token != first.token

    async def test_an_extended_lease_holds_longer(self, queue: Queue, clock: ManualClock) -> None:
        await queue.send([message("a")])
        leases = await self.receive(queue)
        clock.advance(6)
        assert await queue.extend(leases, lease_s=10) == leases
        clock.advance(6)
        assert await self.receive(queue) == []

    async def test_leases_of_many_lanes_go_together(self, queue: Queue, clock: ManualClock) -> None:
        sent = [message(f"{lane.priority}-{n}", lane) for n in range(13) for lane in LANES]
        await queue.send(sent)
        leases = await self.receive(queue, *LANES, limit=26)
        assert len(leases) == len(sent)
        clock.advance(6)
        held = await queue.extend(leases, lease_s=10)
        assert sorted(names(held)) == sorted(names(leases))
        await queue.give_back(leases[::5])
        again = await self.receive(queue, *LANES, limit=26)
        assert sorted(names(again)) == sorted(names(leases[::5]))
        await queue.ack([*again, *(lease for n, lease in enumerate(leases) if n % 5)])
        clock.advance(60)
        assert await self.receive(queue, *LANES) == []

    async def test_a_lapsed_lease_cannot_be_extended(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await queue.send([message("a")])
        leases = await self.receive(queue)
        clock.advance(10)
        assert await queue.extend(leases, lease_s=10) == []
        assert names(await self.receive(queue)) == ["a"]

    async def test_only_the_leases_that_hold_are_extended(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await queue.send([message("a"), message("b")])
        (first,) = await self.receive(queue, limit=1)
        clock.advance(6)
        (second,) = await self.receive(queue, limit=1)
        clock.advance(6)
        assert await queue.extend([first, second], lease_s=10) == [second]

    async def test_an_acknowledged_message_is_gone(self, queue: Queue, clock: ManualClock) -> None:
        await queue.send([message("a")])
        await queue.ack(await self.receive(queue))
        clock.advance(60)
        assert await self.receive(queue) == []

    async def test_a_lost_lease_acknowledges_nothing(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await queue.send([message("a")])
        old = await self.receive(queue)
        clock.advance(10)
        await queue.ack(old)
        new = await self.receive(queue)
        await queue.ack(old)
        clock.advance(10)
        assert names(new) == names(await self.receive(queue)) == ["a"]

    async def test_a_dropped_message_is_gone(self, queue: Queue, clock: ManualClock) -> None:
        await queue.send([message("a")])
        await queue.drop(await self.receive(queue))
        clock.advance(60)
        assert await self.receive(queue) == []

    async def test_a_lost_lease_drops_nothing(self, queue: Queue, clock: ManualClock) -> None:
        await queue.send([message("a")])
        old = await self.receive(queue)
        clock.advance(10)
        await queue.drop(old)
        assert names(await self.receive(queue)) == ["a"]

    async def test_a_message_that_was_given_back_is_ready_at_once(self, queue: Queue) -> None:
        await queue.send([message("a")])
        await queue.give_back(await self.receive(queue))
        assert names(await self.receive(queue)) == ["a"]

    async def test_a_message_that_was_given_back_keeps_its_place(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        needs(queue, Power.ORDER)
        await queue.send([message("a")])
        leases = await self.receive(queue)
        clock.advance(1)
        await queue.send([message("b")])
        clock.advance(1)
        await queue.give_back(leases)
        assert names(await self.receive(queue, limit=1)) == ["a"]

    async def test_a_message_can_be_given_back_with_a_delay(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await queue.send([message("a")])
        await queue.give_back(await self.receive(queue), delay_s=5)
        assert await self.receive(queue) == []
        clock.advance(5)
        assert names(await self.receive(queue)) == ["a"]

    async def test_a_lost_lease_gives_nothing_back(self, queue: Queue, clock: ManualClock) -> None:
        await queue.send([message("a")])
        old = await self.receive(queue)
        clock.advance(10)
        await self.receive(queue)
        await queue.give_back(old)
        assert await self.receive(queue) == []

    async def test_a_delayed_message_stays_hidden(self, queue: Queue, clock: ManualClock) -> None:
        await queue.send([message("a")], delay_s=5)
        assert await self.receive(queue) == []
        clock.advance(5)
        assert names(await self.receive(queue)) == ["a"]

    async def test_what_is_delayed_is_in_nobodys_way(self, queue: Queue) -> None:
        await queue.send([message("later"), message("later too")], delay_s=3_600)
        await queue.send([message("now")])
        assert names(await self.receive(queue, limit=1)) == ["now"]

    async def test_a_message_that_was_delayed_keeps_its_place(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        needs(queue, Power.ORDER)
        await queue.send([message("a")], delay_s=5)
        clock.advance(1)
        await queue.send([message("b")])
        clock.advance(5)
        assert names(await self.receive(queue, limit=1)) == ["a"]

    async def test_a_waiting_receiver_wakes_when_something_is_sent(self, queue: Queue) -> None:
        waiting = asyncio.create_task(queue.receive((BATCH,), limit=1, lease_s=10, wait_s=30))
        await asyncio.sleep(0)
        await queue.send([message("a")])
        assert names(await waiting) == ["a"]

    async def test_a_waiting_receiver_wakes_when_something_is_given_back(
        self, queue: Queue
    ) -> None:
        await queue.send([message("a")])
        leases = await self.receive(queue)
        waiting = asyncio.create_task(queue.receive((BATCH,), limit=1, lease_s=10, wait_s=30))
        await asyncio.sleep(0)
        await queue.give_back(leases)
        assert names(await waiting) == ["a"]

    async def test_depth_counts_what_is_ready_leased_and_delayed(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        needs(queue, Power.COUNTS)
        await queue.send([message("a"), message("b"), message("c")])
        await queue.send([message("d")], delay_s=60)
        await queue.send([message("e", OTHER_POOL)])
        await self.receive(queue, limit=1)
        clock.advance(2)
        depth = await queue.depth(BATCH)
        assert (depth.ready, depth.leased, depth.delayed) == (2, 1, 1)

    async def test_the_age_of_a_lane_is_that_of_the_first_ready_message(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        needs(queue, Power.AGE)
        await queue.send([message("a")])
        clock.advance(1)
        await queue.send([message("b")])
        await self.receive(queue, limit=1)
        clock.advance(2)
        assert (await queue.depth(BATCH)).oldest_age_s == pytest.approx(2)

    async def test_an_empty_lane_has_no_oldest_message(self, queue: Queue) -> None:
        depth = await queue.depth(BATCH)
        assert (depth.ready, depth.leased, depth.delayed, depth.oldest_age_s) == (0, 0, 0, None)

    async def test_a_clock_that_jumps_back_hides_nothing(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        needs(queue, Power.CLOCK)
        await queue.send([message("a")])
        clock.advance(-3600)
        await queue.send([message("b")])
        assert sorted(names(await self.receive(queue))) == ["a", "b"]
