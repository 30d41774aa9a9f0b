"""What a decision keeps to, whatever the policy would like."""

from headpond.domain.quote import Backlog
from headpond.domain.scaling.decision import Decision, decide
from headpond.domain.scaling.memory import Memory
from headpond.domain.scaling.observation import Crew, Observation, Rate
from headpond.domain.scaling.policies import policy_of
from headpond.domain.scaling.rules import ScalingRules

NOW = 1_800_000_000.0


def a_look(jobs: int | None, crew: Crew | None = None) -> Observation:
    """So many jobs wait, and nothing arrives."""
    waiting = None if jobs is None else Backlog(jobs, 100 * jobs)
    return Observation(waiting=waiting, arrived=Backlog(0, 0), crew=crew, rate=Rate(1.0, 100.0))


def decided(rules: ScalingRules, looks: list[Observation], every_s: float = 30.0) -> list[Decision]:
    """A decision for each look, one after the other."""
    memory, decisions = Memory(), list[Decision]()
    for number, look in enumerate(looks):
        decision = decide(policy_of(rules), rules, look, memory, NOW + number * every_s)
        memory = decision.memory
        decisions.append(decision)
    return decisions


def test_the_first_job_wakes_a_worker() -> None:
    decision = decided(ScalingRules(), [a_look(1)])[-1]
    assert decision.target == 1


def test_what_is_unknown_holds_what_there_is() -> None:
    rules = ScalingRules(policy="queue-depth")
    targets = [d.target for d in decided(rules, [a_look(500), *[a_look(None)] * 100])]
    assert targets == [10] * 101


def test_a_fleet_of_which_nothing_is_remembered_is_taken_as_it_is() -> None:  # SPEC S2
    rules = ScalingRules(max=30, down_cooldown_s=600)
    decisions = decided(rules, [a_look(3, Crew(ready=17, starting=(NOW - 5,) * 3))] * 21)
    assert [decision.target for decision in decisions] == [20] * 20 + [1]
    assert decisions[0].why.endswith("; 20 were found running 0 s ago")
    assert decisions[19].why.endswith("; 20 were found running 570 s ago")


def test_the_last_of_a_found_fleet_stays_as_long_as_any_other() -> None:
    rules = ScalingRules(down_cooldown_s=60)
    decisions = decided(rules, [a_look(0, Crew(ready=1))] * 4)
    assert [decision.target for decision in decisions] == [1, 1, 0, 0]


def test_a_found_fleet_grows_at_once_and_keeps_to_max() -> None:
    assert decided(ScalingRules(max=8), [a_look(600, Crew(ready=2))])[0].target == 8
    assert decided(ScalingRules(max=8), [a_look(600, Crew(ready=20))])[0].target == 8


def test_what_is_remembered_goes_before_what_is_found() -> None:
    rules = ScalingRules(down_cooldown_s=30)
    targets = [d.target for d in decided(rules, [a_look(1, Crew()), a_look(1, Crew(ready=20))])]
    assert targets == [1, 1]
