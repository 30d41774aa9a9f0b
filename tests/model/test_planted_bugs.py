"""A proof is worth what it catches: each bug planted here makes the random histories fail.

The settings are fixed, so that the same examples run each time; nothing is shrunk.
"""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.model.cloud_stages import PubsubHistories
from tests.model.document_stages import CosmosHistories
from tests.model.sqlite_stages import (
    SqliteDeliveryHistories,
    SqliteQueueHistories,
    TwoStepsOnSqliteHistories,
)
from tests.planted_bugs import DELIVERY_BUGS, DOCUMENT_BUGS, HANDLE_BUGS, QUEUE_BUGS, SHARED_BUGS

pytestmark = pytest.mark.no_cover


SEEDS = {
    "weights are ignored": 1,
    "two retries find one job": 1,
    "a retry goes on with any job": 1,
    "a key expires at once": 5,
    "a key never expires": 8,
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


@pytest.mark.parametrize("bug", QUEUE_BUGS)
def test_the_histories_of_a_queue_find_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    QUEUE_BUGS[bug](monkeypatch)
    found(SqliteQueueHistories, bug)


@pytest.mark.parametrize("bug", DELIVERY_BUGS)
def test_the_histories_of_a_delivery_find_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    DELIVERY_BUGS[bug](monkeypatch)
    found(SqliteDeliveryHistories, bug)


@pytest.mark.parametrize("bug", SHARED_BUGS)
def test_what_must_always_hold_finds_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SHARED_BUGS[bug](monkeypatch)
    found(TwoStepsOnSqliteHistories, bug)


@pytest.mark.parametrize("bug", HANDLE_BUGS)
def test_histories_without_order_find_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    HANDLE_BUGS[bug](monkeypatch)
    found(PubsubHistories, bug)


@pytest.mark.parametrize("bug", DOCUMENT_BUGS)
def test_histories_of_documents_find_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    DOCUMENT_BUGS[bug](monkeypatch)
    found(CosmosHistories, bug)
