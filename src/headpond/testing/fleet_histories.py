"""Random histories of a fleet: told, lost from, and cut off from whoever scales it.

A fleet's test is a subclass with one hook:

    class EcsHistories(FleetHistories):
        def backend(self, clock):
            return a_stage()                # an async context manager that gives the stage

    def test_tasks_have_the_histories_of_the_model():
        run_state_machine_as_test(EcsHistories)

The model is the last number that was asked for: so many stay, or the number before where nobody
knows whether the call arrived. Who began to go never comes back, and a name is never used again.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from typing_extensions import override

from headpond.domain.scaling.members import Member, Standing
from headpond.errors import Unavailable
from headpond.testing.fleet_suite import Fate, FleetStage
from headpond.testing.histories import Histories

MOST = 5
TARGETS = st.integers(0, MOST)
ORDERS = st.permutations(range(MOST))
"""Who is named first to go, counted from the oldest."""

FATES = st.lists(st.sampled_from(Fate), min_size=1, max_size=6)


class FleetHistories(Histories[FleetStage]):
    """The contract of `headpond.ports.fleet`, as far as it can be seen from outside. SPEC S4."""

    def __init__(self) -> None:
        super().__init__()
        self.targets = {0}
        self.went: set[str] = set()
        self.known: set[str] = set()

    @rule(wanted=TARGETS, order=ORDERS)
    def scale(self, wanted: int, order: Sequence[int]) -> None:
        before = self.staying()
        named = [before[place].name for place in order if place < len(before)]
        self.wait(self.real.fleet.scale(wanted, named))
        self.targets = {wanted}
        after = {member.name for member in self.staying()}
        if all(member.standing is Standing.READY for member in before):
            gone = {member.name for member in before} - after
            assert gone == set(named[: max(0, len(before) - wanted)])

    @rule(wanted=TARGETS, fates=FATES)
    def scale_in_trouble(self, wanted: int, fates: Sequence[Fate]) -> None:
        if self.real.trouble is None:
            return
        self.real.trouble(fates)
        try:
            self.wait(self.real.fleet.scale(wanted, []))
        except Unavailable:
            self.targets |= {wanted}
        else:
            self.targets = {wanted}
        finally:
            self.real.trouble(())

    @rule()
    def settle(self) -> None:
        self.wait(self.real.settled())

    @rule(place=st.integers(0, MOST - 1))
    def lose_one(self, place: int) -> None:
        staying = self.staying()
        if place < len(staying):
            self.wait(self.real.lose(staying[place].name))
            self.wait(self.real.settled())
            self.went.add(staying[place].name)
            if not self.real.stays:
                self.targets |= {target - 1 for target in self.targets}

    @invariant()
    def as_many_stay_as_were_asked_for(self) -> None:
        members = self.wait(self.real.fleet.members())
        names = [member.name for member in members]
        assert len(set(names)) == len(names)
        assert [member.asked_at for member in members] == sorted(m.asked_at for m in members)
        staying = {member.name for member in members if not member.draining}
        assert len(staying) in self.targets
        assert not staying & self.went
        self.went |= self.known - staying
        self.known = staying

    @override
    def at_the_end(self) -> None:
        """Once nothing fails any more, there are as many as are asked for, and all are ready."""
        target = max(self.targets)
        self.wait(self.real.fleet.scale(target, []))
        self.wait(self.real.settled())
        members = self.wait(self.real.fleet.members())
        assert [member.standing for member in members] == [Standing.READY] * target
        assert not any(member.draining for member in members)

    def staying(self) -> list[Member]:
        """Those that do not drain, the oldest first."""
        return [m for m in self.wait(self.real.fleet.members()) if not m.draining]
