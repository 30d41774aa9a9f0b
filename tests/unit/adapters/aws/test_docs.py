"""What docs/backends.md and docs/scaling.md say of AWS is what the adapters ask of it."""

import ast
import contextlib
import json
import math
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.session import get_session  # pyright: ignore[reportUnknownVariableType]

from headpond.adapters.aws import fleet as fleet_module
from headpond.adapters.aws import queue as queue_module
from headpond.adapters.aws import table as table_module
from headpond.adapters.aws.calls import Place, connect
from headpond.adapters.aws.fleet import EcsFleet
from headpond.adapters.aws.form import FORM, TIME_TO_LIVE
from headpond.adapters.aws.queue import ATTRIBUTES, SqsQueue, redrive_policy
from headpond.adapters.aws.table import DynamoTable, open_table
from headpond.adapters.documents.agenda import up_to
from headpond.adapters.documents.table import Change, Check, Delete, Key, Put
from headpond.adapters.obstore.blobs import ObjectBlobs
from headpond.adapters.obstore.objects import Objects
from headpond.adapters.obstore.opening import open_at
from headpond.domain.archive import ObjectName
from headpond.errors import SettingsError, Unavailable
from headpond.testing.blobs_suite import NAME
from headpond.testing.dead_letter_queue_suite import look_aside
from headpond.testing.queue_suite import BATCH, message
from tests.emulators.ecs_server import Ecs
from tests.emulators.moto_server import Moto
from tests.fleet_stages import on_ecs

DOCS = Path(__file__).parents[4] / "docs"
A, B = Key("a", "1"), Key("b", "1")
"""Items."""

ACTIONS: Mapping[str, set[str]] = {
    "TransactWriteItems": {"PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"},
    "SendMessageBatch": {"SendMessage"},
    "DeleteMessageBatch": {"DeleteMessage"},
    "ChangeMessageVisibilityBatch": {"ChangeMessageVisibility"},
}
"""Operations that are allowed under other names ("Service Authorization Reference", AWS)."""


def examples(page: str) -> Iterator[dict[str, Any]]:
    """The JSON on a page."""
    for example in re.findall(r"```json\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        yield json.loads(example)


def allowed(service: str, page: str = "backends.md") -> set[str]:
    """The actions of a service that the policies on a page allow."""
    statements = [each for found in examples(page) for each in found.get("Statement", ())]
    asked = [each["Action"] for each in statements]
    actions = [one for each in asked for one in ([each] if isinstance(each, str) else each)]
    return {one.partition(":")[2] for one in actions if one.startswith(f"{service}:")}


def needed(operations: set[str]) -> set[str]:
    """The actions that these operations take."""
    return {action for each in operations for action in ACTIONS.get(each, {each})}


def named(service: str, module: Any) -> set[str]:
    """The operations of a service that a module names."""
    session: Any = get_session()
    known = set[str](session.get_service_model(service).operation_names)
    tree = ast.parse(Path(module.__file__).read_text())
    return known & {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_the_table_on_the_page_is_the_one_that_is_made() -> None:
    (form,) = (each for each in examples("backends.md") if "TableName" in each)
    assert form == {"TableName": "headpond", **FORM}


def test_the_time_to_live_on_the_page_is_the_one_that_is_set() -> None:
    command = "aws dynamodb update-time-to-live --table-name headpond --time-to-live-specification"
    (given,) = re.findall(rf"{command} (\S+)\n", (DOCS / "backends.md").read_text())
    assert given == f"Enabled=true,AttributeName={TIME_TO_LIVE['AttributeName']}"


def test_the_queues_on_the_page_are_those_that_are_made() -> None:
    dead_letters = "arn:aws:sqs:eu-central-1:123456789012:headpond-default-batch-dead"
    on_the_page = list(examples("backends.md"))
    assert ATTRIBUTES in on_the_page
    assert {**ATTRIBUTES, **redrive_policy(dead_letters)} in on_the_page


async def test_the_policy_allows_what_the_table_is_asked_for_and_no_more(
    table: DynamoTable,
) -> None:
    await table.write(Put({"pk": "a", "sk": "1", "agenda": "x", "at": "1", "version": 1}))
    await table.write(Change(A, {"version": 2}, {"version": 1}))
    await table.write(Check(A, {"version": 2}), Put({"pk": "b", "sk": "1"}))
    await table.get(A)
    await table.get_many([A, B])
    await table.under("a")
    await up_to(table.look("agenda", "x"), None)
    await table.everything("1")
    await table.write(Delete(A))
    asked = set(table._service.calls)
    assert named("dynamodb", table_module) <= asked
    assert allowed("dynamodb") == needed(asked)


async def test_the_policy_allows_what_queues_are_asked_for_and_no_more(queue: SqsQueue) -> None:
    await queue.send([message("a"), message("b")])
    await queue.depth(BATCH)
    leases = await queue.receive([BATCH], limit=2, lease_s=10)
    await queue.extend(leases, lease_s=20)
    await queue.ack(leases)
    assert await look_aside(queue) == []
    asked = {*queue._service.calls, *queue._polls.calls}
    assert named("sqs", queue_module) <= asked
    assert allowed("sqs") == needed(asked)


@pytest.fixture
async def tasks() -> AsyncGenerator[EcsFleet]:
    ecs = Ecs()
    async with on_ecs(ecs) as fleet:
        await fleet.scale(2, [])
        ecs.settle()
        await fleet.members()
        await fleet.scale(1, [(await fleet.members())[0].name])
        yield fleet


async def test_the_policy_allows_what_a_fleet_is_asked_for_and_no_more(tasks: EcsFleet) -> None:
    assert named("ecs", fleet_module) <= set(tasks._ecs.calls)
    assert allowed("ecs", "scaling.md") == needed(set(tasks._ecs.calls))


async def use_objects(moto: Moto) -> None:
    """All that the object store is asked for."""
    options = {"aws_endpoint": moto.url, "aws_region": "eu-central-1"}
    store = open_at("batches.files", "s3://pond/files", options)
    objects, blobs = Objects(store), ObjectBlobs(store)
    name, blob = ObjectName("bodies/a"), NAME
    await objects.put(name, b"a")
    assert not await objects.put_new(name, b"b")
    assert await objects.get(name) == b"a"
    assert [found async for found in objects.names("bodies")] == [name]
    await objects.delete(name)
    async with blobs.create(blob) as writer:
        await writer.write(b"x" * 11_000_000)
    assert [len(piece) async for piece in blobs.read(blob, 10_999_999)] == [1]
    with contextlib.suppress(KeyError):
        async with blobs.create(blob) as writer:
            await writer.write(b"x" * 11_000_000)
            raise KeyError
    assert await blobs.written_before(math.inf) == [blob]
    await blobs.delete(blob)


@pytest.mark.parametrize("without", [None, *sorted(allowed("s3"))])
async def test_the_policy_allows_what_objects_take_and_nothing_of_it_can_be_missing(
    place: Place, moto: Moto, without: str | None
) -> None:
    async with aiohttp.ClientSession() as session:
        await session.put(f"{moto.url}/pond")
    actions = [f"s3:{action}" for action in allowed("s3") - {without}]
    async with moto.allowing(place, *actions):
        if without is None:
            await use_objects(moto)
        elif without == "AbortMultipartUpload":
            pytest.skip("an upload that cannot be given up is left to the bucket's rule")
        else:
            with pytest.raises(Unavailable):
                await use_objects(moto)


def keyed(hash_key: str, sort_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]


AGENDA, *OTHERS = FORM["GlobalSecondaryIndexes"]


@pytest.mark.parametrize(
    ("differing", "complaint"),
    [
        ({"KeySchema": keyed("pk", "at")}, "'T' is keyed by pk and at, not by pk and sk;"),
        ({"KeySchema": keyed("pk", "sk")[:1]}, "'T' is keyed by pk, not by pk and sk;"),
        ({"GlobalSecondaryIndexes": OTHERS}, "'T' has no index 'agenda';"),
        ({"GlobalSecondaryIndexes": OTHERS[:1]}, "has no index 'agenda' and has no index 'lines'"),
        (
            {"GlobalSecondaryIndexes": [AGENDA | {"KeySchema": keyed("at", "agenda")}, *OTHERS]},
            "'T' has an index 'agenda' that is keyed by at and agenda, not by agenda and at;",
        ),
        (
            {
                "AttributeDefinitions": [
                    each | ({"AttributeType": "N"} if each["AttributeName"] == "at" else {})
                    for each in FORM["AttributeDefinitions"]
                ]
            },
            "'T' has an attribute 'at' of type N, not S;",
        ),
    ],
)
async def test_a_table_of_another_form_is_refused(
    place: Place, differing: dict[str, Any], complaint: str
) -> None:
    form = {**FORM, **differing}
    used = {
        key["AttributeName"]
        for each in [form, *form["GlobalSecondaryIndexes"]]
        for key in each["KeySchema"]
    }
    form["AttributeDefinitions"] = [
        each for each in form["AttributeDefinitions"] if each["AttributeName"] in used
    ]
    async with connect("dynamodb", place, read_s=5, attempts=1) as service:
        await service.call("CreateTable", TableName=place.prefix, **form)
    with pytest.raises(SettingsError, match=re.escape(complaint.replace("T", place.prefix))):
        async with open_table(place):
            pass


async def test_a_table_with_more_in_its_indexes_will_do(place: Place) -> None:
    indexes = [
        index | {"Projection": {"ProjectionType": "ALL"}}
        for index in FORM["GlobalSecondaryIndexes"]
    ]
    async with connect("dynamodb", place, read_s=5, attempts=1) as service:
        form = {**FORM, "GlobalSecondaryIndexes": indexes}
        await service.call("CreateTable", TableName=place.prefix, **form)
    async with open_table(place) as opened:
        await opened.write(Put({"pk": "a", "sk": "1", "agenda": "x", "at": "1"}))
        assert await up_to(opened.look("agenda", "x"), None) == [Key("a", "1", "1")]
