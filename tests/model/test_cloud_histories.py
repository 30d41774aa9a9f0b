"""The queues of clouds do what the model in memory does, in any random history, but for order."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model.cloud_stages import PubsubHistories, ServiceBusHistories, SqsHistories

pytestmark = [pytest.mark.timeout(7200), pytest.mark.no_cover]


@pytest.mark.parametrize(
    ("machine", "share"), [(SqsHistories, 10), (PubsubHistories, 10), (ServiceBusHistories, 20)]
)
def test_the_queue_of_a_cloud_has_the_histories_of_the_model(
    machine: type[RuleBasedStateMachine], share: int
) -> None:
    # A step is several ways to a server, in Service Bus with waits of its SDK.
    fewer = settings(
        max_examples=settings().max_examples // share,
        stateful_step_count=20,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine, settings=fewer)
