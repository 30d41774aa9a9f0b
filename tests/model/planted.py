"""Whether the random histories find a bug that was planted.

The settings are fixed, so that the same examples run each time; nothing is shrunk.
"""

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


def found(machine: type[RuleBasedStateMachine], bug: str) -> None:
    """The machine fails."""
    if bug in SEEDS:
        machine = seed(SEEDS[bug])(type(machine.__name__, (machine,), {}))
    search = settings(
        max_examples=500,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    with pytest.raises((AssertionError, ValueError)):
        run_state_machine_as_test(machine, settings=search)
