"""What every fleet must do. Subclass `FleetSuite` and give it a `stage` fixture.

Its workers start at once, and go as soon as they drain: how long that takes is not the contract's.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import pytest

from headpond.domain.scaling.members import Standing
from headpond.ports.clock import Clock
from headpond.ports.fleet import Fleet


class Fate(Enum):
    """What becomes of a call of a fleet to its platform."""

    ANSWERED = auto()
    REFUSED = auto()
    """Nothing is done, and that is told as an outage."""
    UNANSWERED = auto()
    """It is done, and an outage is told all the same."""


@dataclass(frozen=True)
class FleetStage:
    """`settled` returns when nobody starts or drains any more; `lose` ends a member by itself.

    `stays` of a fleet whose members outlive whoever scales them. `trouble` takes the fates of the
    next calls, where there is a platform that is called; those that are left over are no more.
    """

    fleet: Fleet
    clock: Clock
    settled: Callable[[], Awaitable[None]]
    lose: Callable[[str], Awaitable[None]]
    stays: bool = False
    trouble: Callable[[Sequence[Fate]], None] | None = None

    async def names(self, *, draining: bool = False) -> list[str]:
        """Those that drain, or those that do not, the oldest first."""
        return [m.name for m in await self.fleet.members() if m.draining == draining]


class FleetSuite:
    """The contract of `headpond.ports.fleet`. SPEC S4."""

    @pytest.fixture
    async def stage(self) -> FleetStage:
        raise NotImplementedError("give the suite a fleet with nobody in it")

    async def test_it_begins_with_nobody(self, stage: FleetStage) -> None:
        assert await stage.fleet.members() == []

    async def test_as_many_as_are_wanted_are_asked_for_at_once(self, stage: FleetStage) -> None:
        await stage.fleet.scale(3, [])
        members = await stage.fleet.members()
        assert len({member.name for member in members}) == 3
        assert not any(member.draining for member in members)
        now = stage.clock.now()
        assert all(now - 60 < member.asked_at <= now for member in members)

    async def test_against_those_that_have_settled_nothing_is_known(
        self, stage: FleetStage
    ) -> None:
        await stage.fleet.scale(2, [])
        await stage.settled()
        members = await stage.fleet.members()
        assert [(member.standing, member.why) for member in members] == [(Standing.READY, "")] * 2

    async def test_to_want_the_same_again_changes_nothing(self, stage: FleetStage) -> None:
        await stage.fleet.scale(2, [])
        await stage.settled()
        members = await stage.fleet.members()
        await stage.fleet.scale(2, [members[0].name])
        assert await stage.fleet.members() == members

    async def test_those_named_first_drain_first_and_then_they_are_gone(
        self, stage: FleetStage
    ) -> None:
        await stage.fleet.scale(3, [])
        await stage.settled()
        first, second, third = await stage.names()
        await stage.fleet.scale(1, [second, third, first])
        assert await stage.names() == [first]
        assert set(await stage.names(draining=True)) == {second, third}
        await stage.settled()
        assert [member.name for member in await stage.fleet.members()] == [first]

    async def test_who_drains_does_not_count(self, stage: FleetStage) -> None:
        await stage.fleet.scale(2, [])
        await stage.settled()
        first, second = await stage.names()
        await stage.fleet.scale(1, [second, first])
        await stage.fleet.scale(2, [])
        assert len(staying := set(await stage.names())) == 2
        assert first in staying
        assert second not in staying

    async def test_those_that_start_can_be_let_go(self, stage: FleetStage) -> None:
        await stage.fleet.scale(2, [])
        await stage.fleet.scale(0, await stage.names())
        await stage.settled()
        assert await stage.fleet.members() == []

    async def test_one_that_ended_by_itself_is_gone_and_another_comes_under_another_name(
        self, stage: FleetStage
    ) -> None:
        await stage.fleet.scale(2, [])
        await stage.settled()
        first, second = await stage.names()
        await stage.lose(second)
        await stage.settled()
        assert second not in await stage.names()
        await stage.fleet.scale(2, [])
        assert len(left := set(await stage.names()) - {second}) == 2
        assert first in left

    async def test_it_can_end_twice(self, stage: FleetStage) -> None:
        await stage.fleet.scale(2, [])
        await stage.settled()
        before = await stage.fleet.members()
        await stage.fleet.close()
        await stage.fleet.close()
        assert await stage.fleet.members() == (before if stage.stays else [])
