"""The table of `adapters/documents/table.py` in DynamoDB.

Its three sparse indexes hold keys alone; what they lead to is read from the table, consistently. So
a change of an item that moves in no index costs no index anything.

A call whose answer got lost is tried again by the SDK and then finds
what it wrote itself: `by` names the write, so that it is not taken for somebody else's.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from typing_extensions import override

from headpond.adapters.aws.calls import Answer, Place, Refused, Service, connect, refusal
from headpond.adapters.aws.form import FORM, TIME_TO_LIVE, faults_of, is_up
from headpond.adapters.aws.values import marshalled, unmarshalled
from headpond.adapters.documents.table import (
    INDEXES,
    Change,
    Check,
    Delete,
    Item,
    Key,
    Put,
    Table,
    Value,
    Write,
    none_between,
    none_from,
)
from headpond.domain.bounded import bounded
from headpond.errors import SettingsError, Unavailable

log = logging.getLogger(__name__)

READ_S = 5.0
ATTEMPTS = 4
CONFLICTS = 8
CONFLICT_S = 0.02
MAX_PAUSE_S = 1.0
MADE_WITHIN_S = 60.0
GET_AT_ONCE = 100
"""DynamoDB's limit."""

PK_BYTES, SK_BYTES = 2_048, 1_024
"""DynamoDB's as well."""

BODY_BYTES = 3_000_000
"""A transaction takes 4 MB, of which a record and what goes with it need some."""

FAILED = "ConditionalCheckFailed"
PASSING = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})
"""What a transaction was cancelled for that may be gone a moment later.

ItemCollectionSizeLimitExceeded, ValidationError and what is not known here would be met again.
"""


@asynccontextmanager
async def open_table(place: Place) -> AsyncGenerator["DynamoTable"]:
    """The table of this name, made if need be. Raises SettingsError."""
    async with connect("dynamodb", place, read_s=READ_S, attempts=ATTEMPTS) as service:
        table = DynamoTable(service, place.prefix)
        await table.make()
        yield table


class DynamoTable(Table):
    """Call `make` first, or come by `open_table`."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name

    @property
    @override
    def body_bytes(self) -> int:
        return BODY_BYTES

    async def make(self) -> None:
        """Make the table unless it is there, and wait until it can be used.

        Raises SettingsError, also where one of another form is there.
        """
        try:
            async with asyncio.timeout(MADE_WITHIN_S):
                made, pause_s = False, 0.05
                while (table := await self._described()) is None or not self._can_be_used(table):
                    # One that is there still may be about to go.
                    made = made or (table is None and await self._create())
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, 2.0)
        except Refused as error:
            raise SettingsError(f"store: DynamoDB, table {self._name!r}: {error}") from error
        except TimeoutError as error:
            raise SettingsError(f"store: the table {self._name!r} does not come up.") from error
        if made:
            await self._let_items_go()

    @override
    async def get(self, key: Key) -> Item | None:
        """The item, None if there is none."""
        answer = await self._call("GetItem", Key=_key(key), ConsistentRead=True)
        return unmarshalled(answer["Item"]) if "Item" in answer else None

    @override
    async def get_many(self, keys: Sequence[Key]) -> dict[str, Item]:
        """The items that there are, by their `pk`: of each partition one is asked for."""
        pieces = [keys[begin : begin + GET_AT_ONCE] for begin in range(0, len(keys), GET_AT_ONCE)]
        found = await asyncio.gather(*(self._get_some(piece) for piece in pieces))
        return {str(item["pk"]): item for items in found for item in items}

    @override
    async def under(
        self,
        pk: str,
        *,
        sk: str = "",
        first: str = "",
        last: str = "",
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Item]:
        """Items of a partition in order: whose `sk` begins so, or from the first to the last."""
        if none_from(first, last):
            return []
        pk = _place(Key(pk))["pk"]
        values = {":pk": pk, ":sk": sk} if sk else {":pk": pk}
        condition = "pk = :pk AND begins_with(sk, :sk)" if sk else "pk = :pk"
        if first and last:
            condition += " AND sk BETWEEN :first AND :last"
        elif first or last:
            condition += " AND sk >= :first" if first else " AND sk <= :last"
        ends = {":first": first, ":last": last}
        values |= {name: end for name, end in ends.items() if end}
        query = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": marshalled(values),
            "ScanIndexForward": not reverse,
            "ConsistentRead": True,
        }
        items: list[Item] = []
        async for page in self._pages(query, limit):
            items += page
        return items if limit is None else items[:limit]

    @override
    async def look(
        self,
        index: str,
        partition: str,
        *,
        after: str = "",
        before: str = "",
        begins: str = "",
        reverse: bool = False,
        at_once: int | None = None,
    ) -> AsyncIterator[Key]:
        """What an index has there, strictly between the two, as it was a moment ago.

        `at_once` are read in one call, for who may not want more.
        """
        if not begins and none_between(after, before):
            return
        hash_key, sort_key = INDEXES[index]
        values: dict[str, Value] = {":partition": partition}
        names = {"#partition": hash_key}
        condition = "#partition = :partition"
        if begins:
            condition += " AND begins_with(#sort, :begins)"
            values[":begins"] = begins
            names["#sort"] = sort_key
        elif after or before:
            # Both ends of BETWEEN count; what is equal is left out below.
            condition += " AND #sort BETWEEN :after AND :before"
            values |= {":after": after or "\0", ":before": before or "\U0010ffff"}
            names["#sort"] = sort_key
        query = {
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": marshalled(values),
            "ScanIndexForward": not reverse,
        } | ({} if at_once is None else {"Limit": at_once})
        async for page in self._pages(query):
            for item in page:
                sort = str(item[sort_key])
                if sort not in {after, before}:
                    yield Key(str(item["pk"]), str(item["sk"]), sort)

    @override
    async def everything(self, sk: str) -> list[Item]:
        """All items with this `sk`, by reading the whole table: for tests and operators."""
        query = {
            "FilterExpression": "sk = :sk",
            "ExpressionAttributeValues": marshalled({":sk": _place(Key("", sk))["sk"]}),
            "ConsistentRead": True,
        }
        return [item async for page in self._pages(query, operation="Scan") for item in page]

    @override
    async def write(self, *writes: Write) -> frozenset[int]:
        """All of the writes or none; the numbers of those whose conditions failed, if any."""
        if len(writes) == 1 and not isinstance(writes[0], Check):
            return await self._write_one(writes[0])
        asked = [_asked(write, self._name, _by()) for write in writes]
        attempt = 0
        while True:
            try:
                await self._service.call("TransactWriteItems", TransactItems=asked)
            except Refused as refused:
                reasons = _reasons(refused)
                if FAILED in reasons:
                    return frozenset(
                        number for number, reason in enumerate(reasons) if reason == FAILED
                    )
                why = frozenset(reasons) - {"None"}
                if not why or attempt == CONFLICTS - 1 or why - PASSING:
                    raise self._away("TransactWriteItems", refused) from refused
                await _pause(attempt)
                attempt += 1
            else:
                return frozenset()

    @override
    async def delete_many(self, keys: Iterable[Key]) -> None:
        """Remove items, each by itself."""
        await asyncio.gather(*(self.write(Delete(key)) for key in keys))

    async def _write_one(self, write: Put | Change | Delete) -> frozenset[int]:
        by = _by()
        ((operation, parameters),) = _asked(write, self._name, by).items()
        returned = (
            {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
            if "ConditionExpression" in parameters
            else {}
        )
        for attempt in range(CONFLICTS):
            try:
                await self._service.call(f"{operation}Item", **parameters, **returned)
            except Refused as refused:
                if refused.code == "ConditionalCheckFailedException":
                    old = unmarshalled(refused.answer.get("Item", {}))
                    return frozenset() if old.get("by") == by else frozenset({0})
                if refused.code != "TransactionConflictException":
                    raise self._away(operation, refused) from refused
                await _pause(attempt)
            else:
                return frozenset()
        message = f"DynamoDB: {CONFLICTS} tries of a write met transactions."
        raise Unavailable(message, code="dynamodb_unavailable")

    async def _get_some(self, keys: Sequence[Key]) -> list[Item]:
        found: list[Item] = []
        left: Any = {self._name: {"Keys": [_key(key) for key in keys], "ConsistentRead": True}}
        for attempt in range(CONFLICTS):
            answer = await self._service_call("BatchGetItem", RequestItems=left)
            found += [unmarshalled(item) for item in answer["Responses"].get(self._name, ())]
            left = answer.get("UnprocessedKeys")
            if not left:
                return found
            await _pause(attempt)
        count = len(left[self._name]["Keys"])
        message = f"DynamoDB: {CONFLICTS} tries left {count} of {len(keys)} items unread."
        raise Unavailable(message, code="dynamodb_unavailable")

    async def _pages(
        self, query: Mapping[str, object], limit: int | None = None, operation: str = "Query"
    ) -> AsyncIterator[list[Item]]:
        more = dict(query) if limit is None else {**query, "Limit": limit}
        while True:
            answer = await self._call(operation, **more)
            yield [unmarshalled(item) for item in answer["Items"]]
            if limit is not None or "LastEvaluatedKey" not in answer:
                return
            more["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def _call(self, operation: str, **parameters: object) -> Answer:
        return await self._service_call(operation, TableName=self._name, **parameters)

    async def _service_call(self, operation: str, **parameters: object) -> Answer:
        try:
            return await self._service.call(operation, **parameters)
        except Refused as refused:
            raise self._away(operation, refused) from refused

    async def _described(self) -> Answer | None:
        try:
            return (await self._service.call("DescribeTable", TableName=self._name))["Table"]
        except Refused as refused:
            if refused.code != "ResourceNotFoundException":
                raise
            return None

    def _can_be_used(self, table: Answer) -> bool:
        if faults := faults_of(table):
            raise SettingsError(
                f"store: the table {self._name!r} {' and '.join(faults)}; docs/backends.md says "
                "how to make one, or give the name of one that is not there yet."
            )
        return is_up(table)

    async def _create(self) -> bool:
        """Whether it was made by us."""
        try:
            await self._service.call("CreateTable", TableName=self._name, **FORM)
        except Refused as refused:
            if refused.code != "ResourceInUseException":
                raise
            return False
        log.warning("DynamoDB had no table %s: it is made, and empty", self._name)
        return True

    async def _let_items_go(self) -> None:
        """Have DynamoDB remove what has expired. Duties of ours do it where it does not."""
        try:
            await self._service.call(
                "UpdateTimeToLive", TableName=self._name, TimeToLiveSpecification=TIME_TO_LIVE
            )
        except (Refused, Unavailable) as error:
            log.warning(
                "DynamoDB does not remove from table %s what has expired (%s); docs/backends.md "
                "says how to have it do so",
                self._name,
                error,
            )

    def _away(self, operation: str, refused: Refused) -> Unavailable:
        return refusal("dynamodb_unavailable", f"{operation}: {refused}")


def _key(key: Key) -> Answer:
    return marshalled(_place(key))


def _place(key: Key) -> dict[str, str]:
    return {"pk": bounded(key.pk, PK_BYTES), "sk": bounded(key.sk, SK_BYTES)}


def _by() -> str:
    return secrets.token_hex(8)


def _reasons(refused: Refused) -> list[str]:
    """The code of each write of a transaction that was cancelled, in their order."""
    return [reason.get("Code", "None") for reason in refused.answer.get("CancellationReasons", ())]


async def _pause(attempt: int) -> None:
    await asyncio.sleep(min(CONFLICT_S * 2**attempt, MAX_PAUSE_S) * (0.5 + random.random()))


def _asked(write: Write, table: str, by: str) -> dict[str, Answer]:
    """The write as DynamoDB is asked for it, by the name of its operation."""
    match write:
        case Put(item, absent):
            place = _place(Key(str(item["pk"]), str(item["sk"])))
            put = {"TableName": table, "Item": marshalled({**item, **place, "by": by})}
            return {
                "Put": put | ({"ConditionExpression": "attribute_not_exists(pk)"} if absent else {})
            }
        case Change(key, to, standing):
            return {
                "Update": {"TableName": table, "Key": _key(key)}
                | _update({**to, "by": by}, standing)
            }
        case Delete(key):
            return {"Delete": {"TableName": table, "Key": _key(key)}}
        case Check(key, standing):
            return {
                "ConditionCheck": {"TableName": table, "Key": _key(key)} | _update({}, standing)
            }


def _update(to: Mapping[str, Value | None], standing: Mapping[str, Value]) -> Answer:
    names = {f"#{name}": name for name in {*to, *standing}}
    values = {f":{name}": value for name, value in to.items() if value is not None}
    values |= {f":was_{name}": value for name, value in standing.items()}
    sets = ", ".join(f"#{name} = :{name}" for name, value in to.items() if value is not None)
    removes = ", ".join(f"#{name}" for name, value in to.items() if value is None)
    expression = " ".join(
        [*([f"SET {sets}"] if sets else []), *([f"REMOVE {removes}"] if removes else [])]
    )
    return {
        "ConditionExpression": " AND ".join(f"#{name} = :was_{name}" for name in standing),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": marshalled(values),
    } | ({"UpdateExpression": expression} if expression else {})
