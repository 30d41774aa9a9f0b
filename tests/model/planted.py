"""Whether the random histories find a bug that was planted; nothing is shrunk."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

SEEDS = {
    "weights are ignored": 1,
    "two retries find one job": 1,
    "a retry goes on with any job": 1,
    "a key expires at once": 5,
    "a key never expires": 8,
    "extend ignores the lapse": 2,
    "extend does nothing": 2,
    "a claim that fell is renewed": 2,
    "an extension is forgotten": 8,
}
"""Seeds with which a search is short that takes long without one."""


SEARCHES = 6
"""With a seed each. Hypothesis takes constants from what happens to be imported, so that a search
may miss in one process what it finds in another."""


def found(machine: type[RuleBasedStateMachine], bug: str) -> None:
    """The machine fails."""
    search = settings(
        max_examples=500,
        stateful_step_count=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    for number in range(SEARCHES):
        sown = seed(SEEDS.get(bug, 0) + number)(type(machine.__name__, (machine,), {}))
        try:
            run_state_machine_as_test(sown, settings=search)
        except (AssertionError, ValueError):
            return
    pytest.fail(f"nobody noticed that {bug}")
