"""What every fair queue must do besides. Subclass `FairQueueSuite` as you would `QueueSuite`."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations

from headpond.ports.queue import Queue
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, INTERACTIVE, QueueSuite, message, names


class FairQueueSuite(QueueSuite):
    """The contract of `headpond.ports.queue` with fair shares. SPEC Q8."""

    async def fill(
        self, queue: Queue, team: str, jobs: int, *, tokens: int = 10, weight: float = 1.0
    ) -> None:
        """Send so many messages of a team, TEAM-0 first."""
        await queue.send(
            [
                message(f"{team}-{number}", team=team, tokens=tokens, weight=weight)
                for number in range(jobs)
            ]
        )

    async def work(self, queue: Queue, jobs: int, *, at_once: int = 1) -> list[str]:
        """Receive and acknowledge so many messages; their jobs in order."""
        done: list[str] = []
        while len(done) < jobs:
            leases = await self.receive(queue, limit=at_once)
            await queue.ack(leases)
            done += names(leases)
        return done

    async def test_a_newcomer_waits_for_one_message_of_each_other_team(self, queue: Queue) -> None:
        await self.fill(queue, "large", 300, tokens=1000)
        await self.fill(queue, "small", 300)
        await self.work(queue, 100, at_once=7)
        await self.fill(queue, "new", 1)
        assert "new-0" in await self.work(queue, 3)

    async def test_teams_share_in_tokens_by_weight(self, queue: Queue) -> None:
        teams = {"light": (10, 1.0), "middle": (70, 1.0), "heavy": (30, 3.0)}
        for team, (tokens, weight) in teams.items():
            await self.fill(queue, team, 300, tokens=tokens, weight=weight)
        done = by_team(await self.work(queue, 200, at_once=8))
        costs = {team: tokens / weight for team, (tokens, weight) in teams.items()}
        for one, other in combinations(teams, 2):
            apart = abs(done[one] * costs[one] - done[other] * costs[other])
            assert apart <= costs[one] + costs[other]

    async def test_idling_saves_nothing_up(self, queue: Queue) -> None:
        await self.fill(queue, "idle", 1)
        await self.fill(queue, "busy", 100)
        await self.work(queue, 50)
        await self.fill(queue, "idle", 50)
        assert by_team(await self.work(queue, 20)) == {"idle": 10, "busy": 10}

    async def test_a_team_that_returns_owes_nothing_from_before(self, queue: Queue) -> None:
        await self.fill(queue, "early", 50)
        await self.work(queue, 50, at_once=50)
        await self.fill(queue, "late", 50)
        await self.fill(queue, "early", 50)
        assert by_team(await self.work(queue, 21))["early"] >= 10

    async def test_of_teams_that_become_ready_together_the_first_sent_goes_first(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await queue.send([message("first", team="a")], delay_s=3)
        await queue.send([message("second", team="b")], delay_s=1)
        clock.advance(3)
        assert names(await self.receive(queue, limit=1)) == ["first"]

    async def test_what_was_dropped_is_not_charged(self, queue: Queue) -> None:
        await self.fill(queue, "cancelled", 40)
        await self.fill(queue, "busy", 100)
        while leases := await self.receive(queue, limit=4):
            dropped = [lease for lease in leases if lease.message.team == "cancelled"]
            if not dropped:
                break
            await queue.drop(dropped)
            await queue.ack([lease for lease in leases if lease not in dropped])
        # By share, it would have been all of them.
        assert (await queue.depth(BATCH)).ready > 80

    async def test_what_was_given_back_keeps_its_place_among_teams(self, queue: Queue) -> None:
        await self.fill(queue, "one", 2)
        await self.fill(queue, "two", 2)
        leases = await self.receive(queue, limit=1)
        await queue.give_back(leases)
        assert names(await self.receive(queue, limit=1)) == names(leases)

    async def test_what_was_given_back_later_is_charged_once(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        await self.fill(queue, "one", 5)
        await self.fill(queue, "two", 5)
        await queue.give_back(await self.receive(queue, limit=2), delay_s=1)
        clock.advance(1)
        assert by_team(await self.work(queue, 4)) == {"one": 2, "two": 2}

    async def test_lanes_are_shared_apart(self, queue: Queue) -> None:
        await self.fill(queue, "one", 20)
        await self.work(queue, 10)
        await queue.send([message("two", INTERACTIVE, team="two")])
        await queue.send([message("one", INTERACTIVE, team="one")])
        assert names(await self.receive(queue, INTERACTIVE, limit=1)) == ["two"]
        assert names(await self.receive(queue, INTERACTIVE, limit=1)) == ["one"]


def by_team(done: list[str]) -> Mapping[str, int]:
    """How many of the jobs are each team's."""
    return Counter(name.partition("-")[0] for name in done)
