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
