"""The queue on Redis does what the model in memory does, in any history that chance brings."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model.redis_stages import (
    memory_jobs_histories,
    queue_histories,
    sqlite_jobs_histories,
)
from tests.redis_server import Daemon

pytestmark = [pytest.mark.timeout(7200), pytest.mark.no_cover]


@pytest.mark.parametrize(
    ("kind", "histories"),
    [
        ("redis", queue_histories),
        ("valkey", queue_histories),
        ("valkey", memory_jobs_histories),
        ("valkey", sqlite_jobs_histories),
    ],
)
def test_the_queue_on_redis_has_the_histories_of_the_model(
    request: pytest.FixtureRequest,
    kind: str,
    histories: Callable[[Daemon], type[RuleBasedStateMachine]],
) -> None:
    # A real server is asked for each step: a quarter of what the other stores get.
    fewer = settings(max_examples=settings().max_examples // 4)
    run_state_machine_as_test(histories(request.getfixturevalue(kind)), settings=fewer)
