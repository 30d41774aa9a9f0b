"""As much of Cosmos DB (NoSQL API) as the table of documents talks to, over HTTP.

It follows the documented REST protocol ("Azure Cosmos DB REST API reference", Microsoft Learn) and
what the official SDK expects of the gateway: keys are checked, documents lie in logical partitions
and those in two physical ones, batches are atomic and bounded, etags are, documents expire. A query
that has to be merged from several partitions is refused with 1004, upon which the SDK asks for a
plan and each partition for its share. Of SQL it knows what the table asks: ranges, lists, an order.

Stricter than the service: a filter on what is not indexed is an error. It can lose answers, and
have too much to do.
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.emulators.serving import served

KEY = base64.b64encode(b"of this emulator; it is no secret").decode()
BATCH_OPERATIONS = 100
BYTES = 2 * 1024 * 1024
ID_BYTES, PK_BYTES = 1_023, 2_048
RANGES = ("0", "1")
"""Of physical partitions."""

QUERY = re.compile(
    r"SELECT (?P<what>.+?) FROM c WHERE (?P<where>.+?)"
    r"(?: ORDER BY c\.(?P<order>\w+) (?P<direction>ASC|DESC))?"
)
CONDITION = re.compile(r"c\.(?P<field>\w+) (?P<is>=|<=|>=|<|>|IN) (?P<value>@\w+|\(.+\))")
REWRITTEN = (
    'c._rid, [{{"item": c.{order}}}] AS orderByItems, {payload} AS payload FROM c '
    "WHERE ({where}) AND ({{documentdb-formattableorderbyquery-filter}}) "
    "ORDER BY c.{order} {direction}"
)
PAYLOAD = re.compile(r"c\._rid, \[.+\] AS orderByItems, (?P<payload>.+) AS payload")
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "IN": lambda a, b: a in b,
}

Json = dict[str, Any]


class Said(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, substatus: int = 0, retry_ms: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"x-ms-substatus": str(substatus)} if substatus else {}
        if status == 429:
            self.headers["x-ms-retry-after-ms"] = str(retry_ms)


@dataclass(slots=True)
class Collection:
    """Its documents by partition and id."""

    properties: Json
    documents: dict[tuple[str, str], Json] = field(default_factory=dict[tuple[str, str], Json])

    @property
    def indexed(self) -> frozenset[str]:
        """Fields that may be asked for."""
        paths = [path["path"] for path in self.properties["indexingPolicy"]["includedPaths"]]
        return frozenset({"id", *(path.strip("/?") for path in paths)})


class Cosmos:
    """An account. `calls` counts what was asked by kind; its clock is `ahead_s` ahead."""

    def __init__(self, *, consistency: str | None = "Strong", regions: int = 1) -> None:
        self.consistency = consistency
        self.regions = regions
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.ahead_s = 0.0
        self.lose_answers = 0
        """So many writes from now on are made and not answered."""
        self.meanwhile: Callable[[], Awaitable[None]] = _nothing
        """What others do before somebody learns that there is no answer."""
        self.throttle = 0
        """So many requests of a container are answered with 429, or what is set below."""
        self.throttled_with = 429
        self.throttle_within = 0
        """So many batches are answered with 429 for one of their operations."""
        self._databases: dict[str, dict[str, Collection]] = {}
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """Begin anew."""
        self._databases.clear()
        self.calls.clear()

    def documents(self) -> list[Json]:
        """Everything that is there."""
        return [
            document
            for collections in self._databases.values()
            for collection in collections.values()
            for document in self._alive(collection)
        ]

    # Resources

    def account(self, host: str) -> Json:
        """For who called it by this address."""
        places = [
            {"name": f"Region {number}", "databaseAccountEndpoint": f"http://{host}/"}
            for number in range(self.regions)
        ]
        said: Json = {
            "id": "emulator",
            "writableLocations": places[:1],
            "readableLocations": places,
            "enableMultipleWriteLocations": False,
        }
        if self.consistency is not None:
            said["userConsistencyPolicy"] = {"defaultConsistencyLevel": self.consistency}
        return said

    def create_database(self, body: Json) -> Json:
        if body["id"] in self._databases:
            raise Said(409, "Resource with specified id or name already exists.")
        self._databases[body["id"]] = {}
        return self.database(body["id"])

    def database(self, name: str) -> Json:
        if name not in self._databases:
            raise Said(404, f"Resource Not Found: database {name}")
        return {"id": name, "_rid": _rid(name), "_self": f"dbs/{name}/"}

    def create_collection(self, database: str, body: Json) -> Json:
        self.database(database)
        name = body["id"]
        if name in self._databases[database]:
            raise Said(409, "Resource with specified id or name already exists.")
        everything: Json = {"includedPaths": [{"path": "/*"}], "excludedPaths": []}
        policy = {"indexingMode": "consistent", **body.get("indexingPolicy", everything)}
        properties = {
            **body,
            "indexingPolicy": policy,
            "_rid": _rid(f"{database}/{name}"),
            "_self": f"dbs/{database}/colls/{name}/",
        }
        self._databases[database][name] = Collection(properties)
        return properties

    def collection(self, database: str, name: str) -> Collection:
        self.database(database)
        if name not in self._databases[database]:
            raise Said(404, f"Resource Not Found: container {name}")
        return self._databases[database][name]

    def within(self, database: str, name: str) -> Collection:
        """What holds the documents that are asked for."""
        try:
            return self.collection(database, name)
        except Said as error:
            raise Said(404, "Owner resource does not exist", 1003) from error

    def ranges(self, collection: Collection) -> Json:
        """The physical partitions, by what the keys are hashed to."""
        borders = ("", "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "FF")
        return {
            "_rid": collection.properties["_rid"],
            "PartitionKeyRanges": [
                {"id": name, "minInclusive": low, "maxExclusive": high, "parents": []}
                for name, low, high in zip(RANGES, borders, borders[1:], strict=False)
            ],
            "_count": len(RANGES),
        }

    # Documents

    def read(self, collection: Collection, pk: str, name: str) -> Json:
        document = collection.documents.get((pk, name))
        if document is None or not self._lives(collection, document):
            raise Said(404, "Entity with the specified id does not exist in the system.")
        return document

    def batch(self, collection: Collection, pk: str, operations: list[Json]) -> list[Json]:
        """Their answers; nothing is written if one of them is an error."""
        if len(operations) > BATCH_OPERATIONS:
            raise Said(400, "Batch request has more operations than what is supported.")
        before = dict(collection.documents)
        answers: list[Json] = []
        for operation in operations:
            try:
                answers.append(self._do(collection, pk, operation))
            except Said as error:
                collection.documents = before
                failed: list[Json] = [{"statusCode": 424} for _ in operations]
                failed[len(answers)] = {"statusCode": error.status, "message": str(error)}
                return failed
        return answers

    def query(
        self, collection: Collection, body: Json, *, pk: str | None, part: str | None
    ) -> list[Json]:
        """What is found in a partition, logical or physical, in the order that is asked for."""
        asked = _parsed(body)
        conditions = [CONDITION.fullmatch(each) for each in _conditions(asked["where"])]
        values = {each["name"]: each["value"] for each in body.get("parameters", ())}
        tests: list[tuple[str, str, Any]] = []
        for found in conditions:
            if found is None:
                raise Said(400, f"Syntax error in {body['query']}")
            if found["field"] not in collection.indexed:
                raise Said(400, f"Not indexed: {found['field']}")
            named = found["value"]
            value = (
                [values[name] for name in named.strip("()").split(", ")]
                if found["is"] == "IN"
                else values[named]
            )
            tests.append((found["field"], found["is"], value))
        documents = [
            document
            for document in self._alive(collection, pk)
            if (part is None or _range_of(document["pk"]) == part)
            and all(
                isinstance(document.get(name), str) and COMPARED[sign](document[name], value)
                for name, sign, value in tests
            )
        ]
        order = asked["order"]
        if order is None:
            return documents
        if order not in collection.indexed:
            raise Said(400, "The order-by item is excluded from the index.")
        return sorted(documents, key=lambda each: each[order], reverse=asked["direction"] == "DESC")

    def _alive(self, collection: Collection, pk: str | None = None) -> list[Json]:
        return [
            document
            for document in collection.documents.values()
            if (pk is None or document["pk"] == pk) and self._lives(collection, document)
        ]

    def _lives(self, collection: Collection, document: Json) -> bool:
        expires = "defaultTtl" in collection.properties and "ttl" in document
        return not expires or document["_ts"] + document["ttl"] > time.time() + self.ahead_s

    def _do(self, collection: Collection, pk: str, operation: Json) -> Json:
        if self.throttle_within:
            self.throttle_within -= 1
            raise Said(429, "Request rate is large.")
        kind, body = operation["operationType"], operation.get("resourceBody", {})
        name = body["id"] if body else operation["id"]
        if not _is_id(name) or len(pk.encode()) > PK_BYTES:
            raise Said(400, f"The id {name!r} is none, or the partition key {pk!r}.")
        if body and (body["pk"] != pk or len(json.dumps(body)) > BYTES):
            raise Said(400 if body["pk"] != pk else 413, "Not of this partition, or too large.")
        try:
            standing = self.read(collection, pk, name)
        except Said:
            standing = None
        if kind == "Create" and standing is not None:
            raise Said(409, "Entity with the specified id already exists in the system.")
        if kind != "Create" and standing is None:
            raise Said(404, "Entity with the specified id does not exist in the system.")
        if "ifMatch" in operation and operation["ifMatch"] != (standing or {}).get("_etag"):
            raise Said(412, "One of the specified pre-condition is not met.")
        if kind == "Delete":
            del collection.documents[pk, name]
            return {"statusCode": 204}
        if kind not in {"Create", "Replace"}:
            raise Said(400, f"{kind} is not known here.")
        number = next(self._numbers)
        etag = f'"{number:08x}"'
        collection.documents[pk, name] = {
            **body,
            "_rid": (standing or {}).get("_rid", f"{number:012d}"),
            "_etag": etag,
            "_ts": int(time.time() + self.ahead_s),
        }
        return {"statusCode": 201 if kind == "Create" else 200, "eTag": etag}


class Gateway:
    """What HTTP makes of it."""

    def __init__(self, cosmos: Cosmos) -> None:
        self._cosmos = cosmos

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2 * BYTES, middlewares=[self._answered])
        database, slash = "/dbs/{database}", "{_:/?}"
        collection = f"{database}/colls/{{collection}}"
        app.add_routes(
            [
                web.get("/", self._account),
                web.post(f"/dbs{slash}", self._create_database),
                web.get(f"{database}{slash}", self._database),
                web.post(f"{database}/colls{slash}", self._create_collection),
                web.get(f"{collection}{slash}", self._collection),
                web.get(f"{collection}/pkranges{slash}", self._ranges),
                web.get(f"{collection}/docs/{{id}}{slash}", self._read),
                web.post(f"{collection}/docs{slash}", self._documents),
            ]
        )
        return app

    @web.middleware
    async def _answered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            _authorized(request)
            return await handler(request)
        except Said as error:
            body = {"code": str(error.status), "message": str(error)}
            return web.json_response(body, status=error.status, headers=error.headers)

    async def _account(self, request: web.Request) -> web.Response:
        return web.json_response(self._cosmos.account(request.host))

    async def _create_database(self, request: web.Request) -> web.Response:
        return web.json_response(self._cosmos.create_database(await request.json()), status=201)

    async def _database(self, request: web.Request) -> web.Response:
        return web.json_response(self._cosmos.database(request.match_info["database"]))

    async def _create_collection(self, request: web.Request) -> web.Response:
        database = request.match_info["database"]
        made = self._cosmos.create_collection(database, await request.json())
        return web.json_response(made, status=201)

    async def _collection(self, request: web.Request) -> web.Response:
        self._throttle()
        names = request.match_info
        found = self._cosmos.collection(names["database"], names["collection"])
        return web.json_response(found.properties)

    async def _ranges(self, request: web.Request) -> web.Response:
        ranges = self._cosmos.ranges(self._collection_of(request))
        if request.headers.get("If-None-Match") == '"ranges"':
            return web.Response(status=304, headers={"etag": '"ranges"'})
        return web.json_response(ranges, headers={"etag": '"ranges"'})

    async def _read(self, request: web.Request) -> web.Response:
        self._count("read")
        name = unquote(request.match_info["id"])
        pk = _partition(request)
        assert pk is not None
        return web.json_response(self._cosmos.read(self._collection_of(request), pk, name))

    async def _documents(self, request: web.Request) -> web.StreamResponse:
        collection, headers = self._collection_of(request), request.headers
        body = await request.read()
        if len(body) > BYTES:
            raise Said(413, "Request size is too large.")
        if headers.get("x-ms-cosmos-is-query-plan-request", "").lower() == "true":
            return web.json_response(_plan(json.loads(body)))
        if headers.get("x-ms-documentdb-isquery", "").lower() == "true":
            return self._query(request, collection, json.loads(body))
        self._count("batch")
        pk = _partition(request)
        assert pk is not None
        answers = self._cosmos.batch(collection, pk, json.loads(body))
        if self._cosmos.lose_answers:
            self._cosmos.lose_answers -= 1
            await self._cosmos.meanwhile()
            assert request.transport is not None
            request.transport.abort()
        failed = any(answer["statusCode"] >= 400 for answer in answers)
        return web.json_response(answers, status=207 if failed else 200)

    def _query(self, request: web.Request, collection: Collection, body: Json) -> web.Response:
        headers = request.headers
        pk, part = _partition(request), headers.get("x-ms-documentdb-partitionkeyrangeid")
        asked = _parsed(body)
        if pk is None and part is None:
            if "x-ms-documentdb-query-enablecrosspartition" not in headers:
                raise Said(400, "Cross partition query is required but disabled.")
            if asked["order"] is not None:
                raise Said(400, "Query contains a feature that the gateway does not merge.", 1004)
        self._count("query")
        found = self._cosmos.query(collection, body, pk=pk, part=part)
        begin = int(headers.get("x-ms-continuation", "0"))
        end = begin + int(headers.get("x-ms-max-item-count", "100"))
        page = [_shown(asked["what"], document) for document in found[begin:end]]
        more = {"x-ms-continuation": str(end)} if end < len(found) else {}
        said = {"_rid": collection.properties["_rid"], "Documents": page, "_count": len(page)}
        return web.json_response(said, headers=more)

    def _count(self, kind: str) -> None:
        self._throttle()
        self._cosmos.calls[kind] += 1

    def _throttle(self) -> None:
        if self._cosmos.throttle:
            self._cosmos.throttle -= 1
            raise Said(self._cosmos.throttled_with, "Request rate is large.", 3200, retry_ms=1)

    def _collection_of(self, request: web.Request) -> Collection:
        names = request.match_info
        return self._cosmos.within(names["database"], names["collection"])


async def _nothing() -> None:
    pass


def _authorized(request: web.Request) -> None:
    """As "Access control on Azure Cosmos DB resources" signs a request."""
    names = [name for name in request.path.split("/") if name]
    kind = names[-1 if len(names) % 2 else -2] if names else ""
    link = "/".join(names[:-1] if len(names) % 2 else names)
    signed = f"{request.method}\n{kind}\n".lower() + unquote(link)
    signed += f"\n{request.headers['x-ms-date']}\n\n".lower()
    digest = hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)
    token = f"type=master&ver=1.0&sig={base64.b64encode(digest).decode()}"
    if unquote(request.headers.get("Authorization", "")) != token:
        raise Said(401, "The input authorization token can't serve the request.")


def _partition(request: web.Request) -> str | None:
    written = request.headers.get("x-ms-documentdb-partitionkey")
    return None if written is None else json.loads(written)[0]


def _range_of(pk: str) -> str:
    return RANGES[zlib.crc32(pk.encode()) % len(RANGES)]


def _is_id(name: str) -> bool:
    return not set(name) & set("/\\?#") and 0 < len(name.encode()) <= ID_BYTES


def _rid(name: str) -> str:
    return base64.b64encode(zlib.crc32(name.encode()).to_bytes(4, "big")).decode()


def _parsed(body: Json) -> Mapping[str, str | None]:
    found = QUERY.fullmatch(body["query"])
    if found is None:
        raise Said(400, f"Syntax error in {body['query']}")
    return found.groupdict()


def _conditions(where: str | None) -> Iterator[str]:
    """Those of a query, and of one that was rewritten."""
    for each in (where or "").replace(") AND (true)", "").split(" AND "):
        yield each.removeprefix("(")


def _plan(body: Json) -> Json:
    asked = _parsed(body)
    what = asked["what"] or ""
    names = [each.removeprefix("c.") for each in what.split(", ")]
    payload = "c" if what == "*" else json.dumps(names)
    ascending = asked["direction"] == "ASC"
    return {
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": "None",
            "orderBy": ["Ascending" if ascending else "Descending"],
            "orderByExpressions": [f"c.{asked['order']}"],
            "aggregates": [],
            "hasSelectValue": False,
            "rewrittenQuery": "SELECT " + REWRITTEN.format(**{**asked, "payload": payload}),
        },
        "queryRanges": [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}],
    }


def _shown(what: str | None, document: Json) -> Json:
    payload = PAYLOAD.fullmatch(what or "")
    if payload is None:
        names = [each.removeprefix("c.") for each in (what or "").split(", ")]
        return document if what == "*" else _some(document, names)
    order = re.findall(r"c\.(\w+)", (what or "").split("AS orderByItems")[0])[-1]
    shown = payload["payload"]
    return {
        "_rid": document["_rid"],
        "orderByItems": [{"item": document[order]}],
        "payload": document if shown == "c" else _some(document, json.loads(shown)),
    }


def _some(document: Json, names: list[str]) -> Json:
    return {name: document[name] for name in names if name in document}


@asynccontextmanager
async def cosmos_server(cosmos: Cosmos) -> AsyncGenerator[Cosmos]:
    """An account, served on a free port."""
    async with served(Gateway(cosmos).app()) as url:
        cosmos.url = f"{url}/"
        yield cosmos


async def _serve() -> None:
    async with cosmos_server(Cosmos()) as cosmos:
        sys.stdout.write(f"{cosmos.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
