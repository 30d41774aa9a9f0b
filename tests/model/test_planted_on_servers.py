"""What the random histories find on SQLite they find on the servers, too."""

import pytest

from tests.model.planted import found
from tests.model.postgres_stages import PostgresDeliveryHistories, PostgresQueueHistories, on
from tests.model.redis_stages import queue_histories
from tests.planted_on_servers import POSTGRES_DELIVERY_BUGS, POSTGRES_QUEUE_BUGS, REDIS_BUGS
from tests.postgres import PostgresServer
from tests.redis_server import Daemon

pytestmark = [pytest.mark.timeout(600), pytest.mark.no_cover]


@pytest.mark.parametrize("bug", POSTGRES_QUEUE_BUGS)
def test_the_histories_of_a_queue_on_postgres_find_that(
    bug: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    POSTGRES_QUEUE_BUGS[bug](monkeypatch)
    found(on(postgres, PostgresQueueHistories), bug)


@pytest.mark.parametrize("bug", POSTGRES_DELIVERY_BUGS)
def test_the_histories_of_a_delivery_on_postgres_find_that(
    bug: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    POSTGRES_DELIVERY_BUGS[bug](monkeypatch)
    found(on(postgres, PostgresDeliveryHistories), bug)


@pytest.mark.parametrize("bug", REDIS_BUGS)
def test_the_histories_of_a_queue_on_redis_find_that(
    bug: str, valkey: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    REDIS_BUGS[bug](monkeypatch)
    found(queue_histories(valkey), bug)
