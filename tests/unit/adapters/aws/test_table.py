"""A table of DynamoDB that has no room for now: moto's always has."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import web

from headpond.adapters.aws import table as module
from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.form import FORM
from headpond.adapters.aws.table import CONFLICTS, DynamoTable, open_table
from headpond.adapters.documents.table import Key, Put
from headpond.errors import Unavailable
from tests.emulators.moto_server import credentials
from tests.emulators.serving import served

TARGET = "DynamoDB_20120810."
KEYS = [Key(name) for name in "abcd"]


class Throttled:
    """Answers reads of many items with the first `at_once` alone, as DynamoDB is documented to.

    A transaction is cancelled for the next of `cancelled`, if there is one: a code for each write.
    """

    def __init__(self) -> None:
        self.at_once = 0
        self.cancelled: list[list[str]] = []
        self.index_status = "ACTIVE"
        self.calls: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The server."""
        app = web.Application()
        app.router.add_post("/", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.Response:
        operation = request.headers["X-Amz-Target"].removeprefix(TARGET)
        self.calls[operation] += 1
        if operation == "DescribeTable":
            indexes = [
                {**index, "IndexStatus": self.index_status}
                for index in FORM["GlobalSecondaryIndexes"]
            ]
            self.index_status = "ACTIVE"
            status = {"TableStatus": "ACTIVE", "GlobalSecondaryIndexes": indexes}
            return _json({"Table": {**FORM, **status}})
        if operation == "TransactWriteItems":
            return _cancelled(self.cancelled.pop(0)) if self.cancelled else _json({})
        ((name, asked),) = json.loads(await request.read())["RequestItems"].items()
        read, left = asked["Keys"][: self.at_once], asked["Keys"][self.at_once :]
        unread = {name: asked | {"Keys": left}} if left else {}
        return _json({"Responses": {name: read}, "UnprocessedKeys": unread})


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(body, status=status, content_type="application/x-amz-json-1.0")


def _cancelled(codes: Sequence[str]) -> web.Response:
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": f"Transaction cancelled, see the reasons [{', '.join(codes)}]",
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return _json(body, status=400)


@pytest.fixture
def throttled() -> Throttled:
    return Throttled()


@pytest.fixture
async def table(
    throttled: Throttled, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DynamoTable]:
    monkeypatch.setattr(module, "CONFLICT_S", 0.0)
    async with served(throttled.app()) as url:
        with credentials():
            async with open_table(Place("eu-central-1", "pond", url)) as table:
                yield table


async def test_what_is_left_unread_is_read_next(table: DynamoTable, throttled: Throttled) -> None:
    throttled.at_once = 3
    assert list(await table.get_many(KEYS)) == ["a", "b", "c", "d"]
    assert throttled.calls["BatchGetItem"] == 2


async def test_what_stays_unread_is_not_asked_for_for_ever(
    table: DynamoTable, throttled: Throttled
) -> None:
    with pytest.raises(Unavailable, match="8 tries left 4 of 4 items unread") as raised:
        await table.get_many(KEYS)
    assert raised.value.code == "dynamodb_unavailable"
    assert throttled.calls["BatchGetItem"] == CONFLICTS


PASSING = ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"]
LASTING = ["ItemCollectionSizeLimitExceeded", "ValidationError", "SomethingNew"]
TWO = (Put({"pk": "a", "sk": "-"}), Put({"pk": "b", "sk": "-"}))


@pytest.mark.parametrize("code", PASSING)
async def test_a_transaction_that_met_what_passes_is_tried_again(
    table: DynamoTable, throttled: Throttled, code: str
) -> None:
    throttled.cancelled = [["None", code], [code, code]]
    assert await table.write(*TWO) == frozenset()
    assert throttled.calls["TransactWriteItems"] == 3


async def test_a_transaction_that_meets_it_every_time_is_unavailable_and_says_why(
    table: DynamoTable, throttled: Throttled
) -> None:
    throttled.cancelled = [["None", "ProvisionedThroughputExceeded"]] * (CONFLICTS + 1)
    with pytest.raises(Unavailable, match="ProvisionedThroughputExceeded") as raised:
        await table.write(*TWO)
    assert raised.value.code == "dynamodb_unavailable"
    assert throttled.calls["TransactWriteItems"] == CONFLICTS


@pytest.mark.parametrize("code", LASTING)
async def test_a_transaction_that_no_other_try_helps_is_not_tried_again(
    table: DynamoTable, throttled: Throttled, code: str
) -> None:
    throttled.cancelled = [["ThrottlingError", code]]
    with pytest.raises(Unavailable, match=code):
        await table.write(*TWO)
    assert throttled.calls["TransactWriteItems"] == 1


async def test_conditions_that_fail_are_told_whatever_else_a_transaction_met(
    table: DynamoTable, throttled: Throttled
) -> None:
    throttled.cancelled = [["ThrottlingError", "ConditionalCheckFailed"]]
    assert await table.write(*TWO) == frozenset({1})


async def test_an_index_that_is_still_made_is_waited_for(throttled: Throttled) -> None:
    throttled.index_status = "CREATING"
    async with served(throttled.app()) as url:
        with credentials():
            async with open_table(Place("eu-central-1", "pond", url)):
                assert throttled.calls["DescribeTable"] == 2


async def test_pauses_grow_to_a_second_and_a_half_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    for attempt in range(100):
        await module._pause(attempt)
    assert pauses[0] < pauses[5] < max(pauses) <= 1.5
