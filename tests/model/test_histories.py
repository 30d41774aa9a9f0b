"""The SQLite adapters do what the model in memory does, in any history that chance brings."""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.model.sqlite_stages import (
    SqliteDeliveryHistories,
    SqliteQueueHistories,
    TwoStepsOnSqliteHistories,
)

pytestmark = pytest.mark.timeout(7200)


def test_the_queue_on_sqlite_has_the_histories_of_the_model() -> None:
    run_state_machine_as_test(SqliteQueueHistories)


def test_delivery_on_sqlite_has_the_histories_of_the_model() -> None:
    run_state_machine_as_test(SqliteDeliveryHistories)


def test_two_steps_on_sqlite_have_the_histories_of_the_model() -> None:
    run_state_machine_as_test(TwoStepsOnSqliteHistories)
