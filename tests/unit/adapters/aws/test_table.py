"""A table of DynamoDB that has no room for now: moto's always has."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from headpond.adapters.aws import table as module
from headpond.adapters.aws.calls import Place
from headpond.adapters.aws.table import CONFLICTS, DynamoTable, open_table
from headpond.adapters.documents.table import Key
from headpond.errors import Unavailable
from tests.emulators.moto_server import credentials
from tests.emulators.serving import served

TARGET = "DynamoDB_20120810."
KEYS = [Key(name) for name in "abcd"]


class Throttled:
    """Answers reads of many items with the first `at_once` alone, as DynamoDB is documented to."""

    def __init__(self) -> None:
        self.at_once = 0
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
            return _json({"Table": {"TableStatus": "ACTIVE"}})
        ((name, asked),) = json.loads(await request.read())["RequestItems"].items()
        read, left = asked["Keys"][: self.at_once], asked["Keys"][self.at_once :]
        unread = {name: asked | {"Keys": left}} if left else {}
        return _json({"Responses": {name: read}, "UnprocessedKeys": unread})


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, content_type="application/x-amz-json-1.0")


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


async def test_pauses_grow_to_a_second_and_a_half_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    for attempt in range(100):
        await module._pause(attempt)
    assert pauses[0] < pauses[5] < max(pauses) <= 1.5
