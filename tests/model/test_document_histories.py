"""The store of documents does what the model in memory does, in any random history.

In the table of each service that has one: DynamoDB is moto and Cosmos DB an emulator of ours, over
HTTP; Firestore is Google's own, over gRPC. The queue is the one in memory.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.document_stages import (
    DocumentHistories,
    cosmos_histories,
    dynamodb_histories,
    firestore_histories,
)

pytestmark = [pytest.mark.timeout(7200), pytest.mark.no_cover]


@pytest.mark.parametrize("histories", [dynamodb_histories, firestore_histories, cosmos_histories])
def test_delivery_with_a_store_of_documents_has_the_histories_of_the_model(
    histories: Callable[[], AbstractContextManager[type[DocumentHistories]]],
) -> None:
    # A step is dozens of ways to a server.
    fewer = settings(
        max_examples=settings().max_examples // 33,
        stateful_step_count=20,
        suppress_health_check=[HealthCheck.too_slow],
    )
    with histories() as machine:
        run_state_machine_as_test(machine, settings=fewer)
