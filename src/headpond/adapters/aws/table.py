"""Everything durable in one table of DynamoDB.

An item is found by `pk` and `sk`; what changes together lies under one `pk` or in one transaction.

    pk                    sk                what it is
    job#ID                job               a record: JSON, its version, what indexes need
                          request#0000 …    the request in pieces of 300 KB; then response#0000 …
    key#[TEAM,KEY]        -                 an idempotency key, and the job that it stands for
    try#FINGERPRINT       ID                the job of an SDK's try, and how often it was tried
    endpoints#TEAM        ID                an endpoint of a team
    endpoint#ID           -                 whose it is
                          dispatch#EVENT    what it is to be told, or was
    batch#ID  file#ID     -                 a record, JSON
    blob#NAME             -                 the file that names it, or that none ever will
    apikeys               DIGEST            a key for the gateway
    roster                WORKER            a worker's last report
    stream#ID             0000000001 …      what a running job said; `head` says that there is one
    marks                 RULE              how far retention has come
    arrivals              LANE              how many jobs were ever sent there, and their tokens
    scaling               POOL              a pool's scaling between two decisions
    steps#POOL            TIME#…            a decision of the autoscaler, and why

Three sparse indexes hold keys alone; what they lead to is read from the table, consistently. So a
change of an item that moves in no index costs no index anything.

    agenda   (agenda, at)    what waits for a time, or is read in the order of time:
                             accepted, deadline, open, ended, dead (a job is in one of these),
                             key, try, stream, file, batch, batch-ended, dispatch, told,
                             step
    family   (family, name)  lists: a team's jobs, batches, files; an endpoint's dispatches
    lines    (line_of, line) a batch's jobs by state

An index of everything that ends now would be written in one place, and DynamoDB takes a thousand
writes a second there. What jobs write is therefore spread over `SHARDS` partitions by a hash of the
id, and read from all of them together.

Every change is conditional. A call whose answer got lost is tried again by the SDK and then finds
what it wrote itself: `by` names the write, so that it is not taken for somebody else's.
"""

import asyncio
import random
import secrets
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from headpond.adapters.aws.calls import Answer, Place, Refused, Service, connect
from headpond.adapters.aws.values import Item, Value, marshalled, unmarshalled
from headpond.errors import SettingsError, Unavailable

SHARDS = 4
"""May be raised, never lowered: what was written before stays in partitions that are read."""

READ_S = 5.0
ATTEMPTS = 4
CONFLICTS = 8
CONFLICT_S = 0.02
MADE_WITHIN_S = 60.0
GET_AT_ONCE = 100
"""DynamoDB's limit."""

INDEXES = {
    "agenda": ("agenda", "at"),
    "family": ("family", "name"),
    "lines": ("line_of", "line"),
}

FAILED = "ConditionalCheckFailed"
CONFLICT = "TransactionConflict"


class Key(msgspec.Struct, frozen=True):
    """Where an item is, and what an index had beside it."""

    pk: str
    sk: str = "-"
    sort: str = ""


class Put(msgspec.Struct, frozen=True):
    """Write an item: in any case, or iff there is none."""

    item: Mapping[str, Value]
    absent: bool = False


class Change(msgspec.Struct, frozen=True):
    """Set attributes of an item iff it has those of `standing`; None removes one."""

    key: Key
    to: Mapping[str, Value | None]
    standing: Mapping[str, Value]


class Delete(msgspec.Struct, frozen=True):
    """Remove an item, if it is there."""

    key: Key


class Check(msgspec.Struct, frozen=True):
    """Nothing is written unless the item has these attributes."""

    key: Key
    standing: Mapping[str, Value]


Write = Put | Change | Delete | Check


def shard_of(name: str) -> int:
    """The partition of an index that belongs to this id."""
    return zlib.crc32(name.encode()) % SHARDS


def at(seconds: float, name: str = "") -> str:
    """A time that sorts as text, and a name that tells those of one moment apart."""
    return f"{max(0.0, seconds):017.6f}#{name}"


def just_after(seconds: float) -> str:
    """Above every `at` of this moment, below those of later ones."""
    return at(seconds, "\U0010ffff")


@asynccontextmanager
async def open_table(place: Place) -> AsyncGenerator["Table"]:
    """The table of this name, made if need be. Raises SettingsError."""
    async with connect("dynamodb", place, read_s=READ_S, attempts=ATTEMPTS) as service:
        table = Table(service, place.prefix)
        await table.make()
        yield table


class Table:
    """See the module's page. Every verb reads and writes consistently, but for the indexes."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name

    async def make(self) -> None:
        """Make the table unless it is there, and wait until it can be used."""
        try:
            async with asyncio.timeout(MADE_WITHIN_S):
                pause_s = 0.05
                while not await self._is_there():
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, 2.0)
        except Refused as error:
            raise SettingsError(f"store: DynamoDB, table {self._name!r}: {error}") from error
        except TimeoutError as error:
            raise SettingsError(f"store: the table {self._name!r} does not come up.") from error

    async def get(self, key: Key) -> Item | None:
        """The item, None if there is none."""
        answer = await self._call("GetItem", Key=_key(key), ConsistentRead=True)
        return unmarshalled(answer["Item"]) if "Item" in answer else None

    async def get_many(self, keys: Sequence[Key]) -> dict[str, Item]:
        """The items that there are, by their `pk`: of each partition one is asked for."""
        pieces = [keys[begin : begin + GET_AT_ONCE] for begin in range(0, len(keys), GET_AT_ONCE)]
        found = await asyncio.gather(*(self._get_some(piece) for piece in pieces))
        return {str(item["pk"]): item for items in found for item in items}

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
        values = {":pk": pk, ":sk": sk} if sk else {":pk": pk}
        condition = "pk = :pk AND begins_with(sk, :sk)" if sk else "pk = :pk"
        if last:
            condition += " AND sk BETWEEN :first AND :last"
            values |= {":first": first, ":last": last}
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

    async def everything(self, sk: str) -> list[Item]:
        """All items with this `sk`, by reading the whole table: for tests and operators."""
        query = {
            "FilterExpression": "sk = :sk",
            "ExpressionAttributeValues": marshalled({":sk": sk}),
            "ConsistentRead": True,
        }
        return [item async for page in self._pages(query, operation="Scan") for item in page]

    async def write(self, *writes: Write) -> frozenset[int]:
        """All of the writes or none; the numbers of those whose conditions failed, if any."""
        if len(writes) == 1 and not isinstance(writes[0], Check):
            return await self._write_one(writes[0])
        asked = [_asked(write, self._name, _by()) for write in writes]
        for attempt in range(CONFLICTS):
            try:
                await self._service.call("TransactWriteItems", TransactItems=asked)
            except Refused as refused:
                reasons = [reason.get("Code") for reason in _reasons(refused)]
                if FAILED in reasons:
                    return frozenset(
                        number for number, reason in enumerate(reasons) if reason == FAILED
                    )
                if not {CONFLICT, "ThrottlingError"} & set(reasons):
                    raise self._away("TransactWriteItems", refused) from refused
                await _pause(attempt)
            else:
                return frozenset()
        message = f"DynamoDB: {CONFLICTS} tries of a transaction met others."
        raise Unavailable(message, code="dynamodb_unavailable")

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
        attempt = 0
        while left and keys:
            answer = await self._service_call("BatchGetItem", RequestItems=left)
            found += [unmarshalled(item) for item in answer["Responses"].get(self._name, ())]
            left = answer.get("UnprocessedKeys")
            if left:
                await _pause(attempt)
                attempt += 1
        return found

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

    async def _is_there(self) -> bool:
        try:
            answer = await self._service.call("DescribeTable", TableName=self._name)
        except Refused as refused:
            if refused.code != "ResourceNotFoundException":
                raise
            await self._create()
            return False
        return answer["Table"]["TableStatus"] in {"ACTIVE", "UPDATING"}

    async def _create(self) -> None:
        names = {"pk", "sk"} | {name for pair in INDEXES.values() for name in pair}
        try:
            await self._service.call(
                "CreateTable",
                TableName=self._name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "S"} for name in sorted(names)
                ],
                KeySchema=_schema("pk", "sk"),
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": index,
                        "KeySchema": _schema(*pair),
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }
                    for index, pair in INDEXES.items()
                ],
            )
        except Refused as refused:
            if refused.code != "ResourceInUseException":
                raise

    def _away(self, operation: str, refused: Refused) -> Unavailable:
        return Unavailable(f"DynamoDB {operation}: {refused}", code="dynamodb_unavailable")


def _schema(hash_key: str, sort_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]


def _key(key: Key) -> Answer:
    return marshalled({"pk": key.pk, "sk": key.sk})


def _by() -> str:
    return secrets.token_hex(8)


def _reasons(refused: Refused) -> Sequence[Mapping[str, str]]:
    return refused.answer.get("CancellationReasons", ())


async def _pause(attempt: int) -> None:
    await asyncio.sleep(CONFLICT_S * 2**attempt * (0.5 + random.random()))


def _asked(write: Write, table: str, by: str) -> dict[str, Answer]:
    """The write as DynamoDB is asked for it, by the name of its operation."""
    match write:
        case Put(item, absent):
            put = {"TableName": table, "Item": marshalled({**item, "by": by})}
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
