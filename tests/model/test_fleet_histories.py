"""Fleets do what was asked of them last, in any random history, whatever fails meanwhile."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from headpond.testing.fleet_histories import FleetHistories
from tests.model.fleet_machines import PodHistories, ProcessHistories, TaskHistories

pytestmark = [pytest.mark.timeout(7200), pytest.mark.no_cover]


@pytest.mark.parametrize(
    ("machine", "share"), [(ProcessHistories, 1), (PodHistories, 4), (TaskHistories, 4)]
)
def test_a_fleet_has_the_histories_of_the_model(machine: type[FleetHistories], share: int) -> None:
    fewer = settings(
        max_examples=settings().max_examples // share,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine, settings=fewer)
