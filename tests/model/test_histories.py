"""The SQLite and PostgreSQL adapters do what the model in memory does, in any random history."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.postgres_stages import (
    OnPostgres,
    PostgresDeliveryHistories,
    PostgresQueueHistories,
    on,
)
from tests.model.sqlite_stages import (
    SqliteDeliveryHistories,
    SqliteQueueHistories,
    TwoStepsOnSqliteHistories,
)
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.timeout(7200), pytest.mark.no_cover]


def test_the_queue_on_sqlite_has_the_histories_of_the_model() -> None:
    run_state_machine_as_test(SqliteQueueHistories)


def test_delivery_on_sqlite_has_the_histories_of_the_model() -> None:
    run_state_machine_as_test(SqliteDeliveryHistories)


def test_two_steps_on_sqlite_have_the_histories_of_the_model() -> None:
    run_state_machine_as_test(TwoStepsOnSqliteHistories)


def run_on(server: PostgresServer, machine: type[OnPostgres]) -> None:
    """A tenth as many: each step is a way to the server and back."""
    examples = max(10, settings.default.max_examples // 10 if settings.default else 10)
    run_state_machine_as_test(on(server, machine), settings=settings(max_examples=examples))


def test_the_queue_on_postgres_has_the_histories_of_the_model(postgres: PostgresServer) -> None:
    run_on(postgres, PostgresQueueHistories)


def test_delivery_on_postgres_has_the_histories_of_the_model(postgres: PostgresServer) -> None:
    run_on(postgres, PostgresDeliveryHistories)
