"""A proof is worth what it catches: each bug planted here makes the random histories fail."""

import pytest

from headpond.testing.fleet_histories import FleetHistories
from tests.model.cloud_stages import PubsubHistories
from tests.model.document_stages import CosmosHistories
from tests.model.fleet_machines import PodHistories, ProcessHistories, TaskHistories
from tests.model.planted import found
from tests.model.sqlite_stages import (
    SqliteDeliveryHistories,
    SqliteQueueHistories,
    TwoStepsOnSqliteHistories,
)
from tests.planted_bugs import (
    DELIVERY_BUGS,
    DOCUMENT_BUGS,
    FLEET_BUGS,
    HANDLE_BUGS,
    QUEUE_BUGS,
    SHARED_BUGS,
)

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]


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


@pytest.mark.parametrize(
    ("bug", "machine"),
    list(zip(FLEET_BUGS, (PodHistories, TaskHistories, ProcessHistories), strict=True)),
)
def test_histories_of_a_fleet_find_that(
    bug: str, machine: type[FleetHistories], monkeypatch: pytest.MonkeyPatch
) -> None:
    FLEET_BUGS[bug](monkeypatch)
    found(machine, bug)
