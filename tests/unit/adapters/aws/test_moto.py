"""Where moto differs from AWS: what is shown here is true of moto alone; nothing relies on it."""

import pytest

from headpond.adapters.aws.calls import Refused
from headpond.adapters.aws.queue import SqsQueue
from headpond.adapters.aws.table import DynamoTable
from headpond.errors import Unavailable
from headpond.testing.clocks import ManualClock
from headpond.testing.queue_suite import BATCH, message, names


async def test_moto_removes_by_a_handle_whose_lease_is_over_what_another_holds(
    queue: SqsQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    (late,) = await queue.receive([BATCH], limit=1, lease_s=10)
    clock.advance(11)
    assert names(await queue.receive([BATCH], limit=1, lease_s=10)) == ["a"]
    assert await queue.extend([late], lease_s=10) == []  # Who holds it is kept in the adapter.
    entry = {"Id": "0", "ReceiptHandle": late.token}
    hide = await queue._batch(
        "ChangeMessageVisibilityBatch", BATCH, [entry | {"VisibilityTimeout": 10}]
    )
    remove = await queue._batch("DeleteMessageBatch", BATCH, [entry])
    assert hide["Successful"] == remove["Successful"] == [{"Id": "0"}]
    assert (await queue.depth(BATCH)).leased == 0


async def test_moto_counts_the_twelve_hours_of_a_lease_from_the_sending(
    queue: SqsQueue, clock: ManualClock
) -> None:
    await queue.send([message("a")])
    clock.advance(40_000)
    leases = await queue.receive([BATCH], limit=1, lease_s=10)
    with pytest.raises(Unavailable, match="beyond the limit"):
        await queue.extend(leases, lease_s=10_000)


async def test_moto_makes_a_queue_again_at_once(queue: SqsQueue) -> None:
    await queue.send([message("a")])
    await queue._service.call("DeleteQueue", QueueUrl=queue._urls.pop(queue._name(BATCH)))
    assert (await queue.depth(BATCH)).ready == 0


async def test_a_range_that_ends_before_it_begins_is_refused_as_by_dynamodb(
    table: DynamoTable,
) -> None:
    values = {":p": {"S": "p"}, ":low": {"S": "b"}, ":high": {"S": "a"}}
    with pytest.raises(Refused, match=r"ValidationException.*The BETWEEN operator requires"):
        await table._service.call(
            "Query",
            TableName=table._name,
            KeyConditionExpression="pk = :p AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=values,
        )
